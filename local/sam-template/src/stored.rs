//! `AWS::SSM::Parameter`: values that functions read at run time.

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;

/// An `AWS::SSM::Parameter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredParameter {
    /// Logical id in the template.
    pub logical_id: String,
    /// The parameter's name, such as `/orders/gateway`.
    pub name: String,
    /// `String` or `StringList`.
    pub kind: String,
    /// The value.
    pub value: String,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<StoredParameter, TemplateError> {
    properties.without_local_effect(&[
        "AllowedPattern",
        "DataType",
        "Description",
        "Name",
        "Policies",
        "Tags",
        "Tier",
    ]);
    properties.required("Type")?;
    let kind = properties.choice("Type", &["String", "StringList"])?;
    Ok(StoredParameter {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        kind: kind.unwrap_or_default(),
        value: properties.required_text("Value")?,
    })
}
