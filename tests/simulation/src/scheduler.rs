//! One thread, many tasks: at each step one of those that can go on is chosen by the seed.
//!
//! Time is virtual. It stands still while any task can go on, and jumps to the next timer when
//! none can. So the same seed gives the same steps, to the last one.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use fastrand::Rng;

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// Tasks that the scheduler of this thread has not taken yet.
    static SPAWNED: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) };
    /// Tasks that it has, and that are not over.
    static ALIVE: Cell<usize> = const { Cell::new(0) };
}

/// How many tasks there are on this thread that are not over.
#[must_use]
pub fn alive() -> usize {
    ALIVE.get() + SPAWNED.with_borrow(Vec::len)
}

/// Gives a task to the scheduler that runs on this thread.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    SPAWNED.with_borrow_mut(|spawned| spawned.push(Box::pin(task)));
}

/// Lets the scheduler choose somebody else, or the same task again.
pub async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs tasks until there are none left.
pub struct Scheduler {
    tasks: Vec<Option<Running>>,
    free: Vec<usize>,
    ready: Vec<usize>,
    wakes: Arc<Wakes>,
    rng: Rng,
    steps: u64,
}

struct Running {
    task: Task,
    waker: Waker,
    wake: Arc<TaskWake>,
}

#[derive(Default)]
struct Wakes {
    woken: Mutex<Vec<usize>>,
    root: Mutex<Option<Waker>>,
    /// Whether the scheduler is at it: then it sees for itself who was woken.
    polling: AtomicBool,
}

struct TaskWake {
    id: usize,
    /// Whether it stands in the queue, or is over.
    queued: AtomicBool,
    wakes: Arc<Wakes>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        lock(&self.wakes.woken).push(self.id);
        if !self.wakes.polling.load(Ordering::Relaxed)
            && let Some(root) = lock(&self.wakes.root).as_ref()
        {
            root.wake_by_ref();
        }
    }
}

impl Scheduler {
    /// A scheduler that chooses by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SPAWNED.with_borrow_mut(Vec::clear);
        ALIVE.set(0);
        Self {
            tasks: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            wakes: Arc::default(),
            rng: Rng::with_seed(seed),
            steps: 0,
        }
    }

    /// Runs every task that was spawned, and those that they spawn, to their end.
    pub async fn run(&mut self) {
        // The budget of a task of tokio's is for one task, not for a whole world.
        tokio::task::unconstrained(std::future::poll_fn(|context| self.poll_all(context))).await;
    }

    /// How many steps were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<()> {
        *lock(&self.wakes.root) = Some(context.waker().clone());
        self.wakes.polling.store(true, Ordering::Relaxed);
        loop {
            self.take_spawned();
            self.ready.append(&mut lock(&self.wakes.woken));
            if self.ready.is_empty() {
                self.wakes.polling.store(false, Ordering::Relaxed);
                return if ALIVE.get() == 0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            let chosen = self.rng.usize(..self.ready.len());
            let id = self.ready.swap_remove(chosen);
            self.steps += 1;
            self.poll_one(id);
        }
    }

    fn take_spawned(&mut self) {
        let spawned = SPAWNED.with_borrow_mut(std::mem::take);
        for task in spawned {
            let id = self.free.pop().unwrap_or_else(|| {
                self.tasks.push(None);
                self.tasks.len() - 1
            });
            let wake = Arc::new(TaskWake {
                id,
                queued: AtomicBool::new(true),
                wakes: Arc::clone(&self.wakes),
            });
            let waker = Waker::from(Arc::clone(&wake));
            self.tasks[id] = Some(Running { task, waker, wake });
            ALIVE.set(ALIVE.get() + 1);
            self.ready.push(id);
        }
    }

    fn poll_one(&mut self, id: usize) {
        let Some(running) = self.tasks[id].as_mut() else {
            return;
        };
        running.wake.queued.store(false, Ordering::Relaxed);
        let mut context = Context::from_waker(&running.waker);
        if running.task.as_mut().poll(&mut context).is_ready() {
            // Whoever still holds its waker wakes nobody.
            running.wake.queued.store(true, Ordering::Relaxed);
            // It may have woken itself in its last step.
            lock(&self.wakes.woken).retain(|woken| *woken != id);
            self.tasks[id] = None;
            self.free.push(id);
            ALIVE.set(ALIVE.get() - 1);
        }
    }
}
