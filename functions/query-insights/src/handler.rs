//! Answering about windows.

use crate::csv::csv;
use crate::reading::{ReadError, Told, read};
use crate::span::{MAX_DEVICE_WINDOWS, MAX_WINDOWS, Span, Step};
use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use domain::ids::DeviceId;
use event_sourcing::clock::Clock;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use jiff::Timestamp;
use serde_json::{Value, json};
use streaming_analytics::devices::{DeviceKey, DeviceSpan};
use streaming_analytics::insights_table::{DeviceWindow, InsightsTable, TableError};
use streaming_analytics::result::{MAX_SKUS, MinuteResult, Totals};
use streaming_analytics::window::{Day, Hour, Minute};

/// SKUs that a window names.
const TOP_OF_WINDOW: usize = 10;

/// Answers.
#[derive(Debug)]
pub struct Handler<T, C> {
    /// What there is to tell.
    pub table: T,
    /// Tells when.
    pub clock: C,
}

impl<T: InsightsTable, C: Clock> Handler<T, C> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        request.caller()?.operates()?;
        match request.route() {
            "GET /insights" => self.insights(request).await,
            "GET /insights/top-skus" => self.top_skus(request).await,
            "GET /devices/{id}" => self.device(request).await,
            route => Err(Problem::not_found(&format!(
                "{route} is no route of this function"
            ))),
        }
    }

    async fn insights(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let format = request.query("format", |text| match text {
            "json" | "csv" => Ok(text.to_owned()),
            _ => Err("must be json or csv"),
        })?;
        let accepts_csv = request
            .header("accept")
            .is_some_and(|types| types.contains("text/csv"));
        let span = Span::of(request, self.clock.now(), MAX_WINDOWS)?;
        let windows = self.windows(&span).await?;
        if format.map_or(accepts_csv, |format| format == "csv") {
            let text = csv(&windows, span.step);
            return Ok(HttpResponse::text(200, "text/csv; charset=utf-8", text));
        }
        let windows: Vec<_> = windows.iter().map(|told| window(told, span.step)).collect();
        Ok(HttpResponse::json(
            200,
            about(&span, "windows", json!(windows)),
        ))
    }

    async fn top_skus(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let limit = request.query("limit", |text| {
            let limit = text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_SKUS).contains(limit));
            limit.ok_or_else(|| format!("must be from 1 to {MAX_SKUS}"))
        })?;
        let span = Span::of(request, self.clock.now(), MAX_WINDOWS)?;
        let mut totals = Totals::default();
        for told in self.windows(&span).await? {
            totals.append(&told.totals);
        }
        let skus = totals.orders.skus.top(limit.unwrap_or(TOP_OF_WINDOW));
        Ok(HttpResponse::json(
            200,
            about(&span, "topSkus", json!(skus)),
        ))
    }

    async fn device(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let device = request.path("id", DeviceId::parse)?;
        let span = Span::of(request, self.clock.now(), MAX_DEVICE_WINDOWS)?;
        let progress = retrying(|| self.table.progress()).await.map_err(failed)?;
        let made = progress.made_through;
        let closed: Vec<_> = span
            .starts()
            .filter(|start| span.step.is_closed(*start, made))
            .filter_map(|start| device_window(start, span.step))
            .collect();
        let found = retrying(|| self.table.device(&device, &closed)).await;
        let mut readings: Vec<_> = found
            .map_err(failed)?
            .into_iter()
            .map(|(window, key, readings)| {
                reading(start_of(window), span.step, true, &key, &readings)
            })
            .collect();
        if span.step == Step::Minute {
            readings.extend(self.open_readings(&device, &span, made).await?);
        }
        Ok(HttpResponse::json(
            200,
            about(&span, "readings", json!(readings)),
        ))
    }

    /// Of minutes that are not closed: longer windows tell of devices once they are.
    async fn open_readings(
        &self,
        device: &DeviceId,
        span: &Span,
        made: Option<Minute>,
    ) -> Result<Vec<Value>, Problem> {
        let mut readings = Vec::new();
        let open = span.starts().filter_map(|start| Minute::of(start).ok());
        for minute in open.filter(|minute| Some(*minute) > made) {
            let parts = retrying(|| self.table.parts_of(minute))
                .await
                .map_err(failed)?;
            let totals = MinuteResult::of(minute, &parts).totals;
            let of_device = totals
                .devices
                .iter()
                .filter(|(key, _)| key.device == *device);
            readings.extend(
                of_device
                    .map(|(key, span)| reading(minute.start(), Step::Minute, false, key, span)),
            );
        }
        Ok(readings)
    }

    async fn windows(&self, span: &Span) -> Result<Vec<Told>, Problem> {
        read(&self.table, span).await.map_err(|error| match error {
            ReadError::Table(error) => failed(error),
            ReadError::Time(error) => Problem::invalid("from", error),
        })
    }
}

fn failed(error: TableError) -> Problem {
    Failure::from_error(&error).into()
}

fn about(span: &Span, name: &str, what: Value) -> Value {
    let mut answer = json!({"from": span.from, "to": span.until, "step": span.step.as_str()});
    answer[name] = what;
    answer
}

fn window(told: &Told, step: Step) -> Value {
    let mut window = json!(told.totals.orders.insights(TOP_OF_WINDOW));
    window["start"] = json!(told.start.to_string());
    window["end"] = json!(step.end(told.start).to_string());
    window["final"] = json!(told.is_final);
    window["revision"] = json!(told.revision);
    window["records"] = json!(told.totals.counts);
    window
}

fn reading(
    start: Timestamp,
    step: Step,
    is_final: bool,
    key: &DeviceKey,
    readings: &DeviceSpan,
) -> Value {
    let mut told = json!(readings.insights(key));
    told["start"] = json!(start.to_string());
    told["end"] = json!(step.end(start).to_string());
    told["final"] = json!(is_final);
    told
}

fn device_window(start: Timestamp, step: Step) -> Option<DeviceWindow> {
    match step {
        Step::Minute => Minute::of(start).ok().map(DeviceWindow::Minute),
        Step::Hour => Hour::of(start).ok().map(DeviceWindow::Hour),
        Step::Day => Day::of(start).ok().map(DeviceWindow::Day),
    }
}

fn start_of(window: DeviceWindow) -> Timestamp {
    match window {
        DeviceWindow::Minute(minute) => minute.start(),
        DeviceWindow::Hour(hour) => hour.start(),
        DeviceWindow::Day(day) => day.start(),
    }
}

#[cfg(test)]
mod tests;
