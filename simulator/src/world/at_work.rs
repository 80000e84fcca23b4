//! Whose task is under way: a panic says on which node it happened.
//!
//! madsim knows as much, and tells nobody but standard error.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

thread_local! {
    /// The name of the node whose task is under way on this thread.
    static AT_WORK: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The node whose task is under way on this thread; `None` if it is nobody's, as the harness is.
pub(crate) fn at_work() -> Option<Arc<str>> {
    AT_WORK.with_borrow(Option::clone)
}

/// A task of a node.
pub(super) struct OnNode<F> {
    name: Arc<str>,
    /// `None` once it has been dropped.
    task: Option<Pin<Box<F>>>,
}

impl<F> OnNode<F> {
    pub(super) fn new(name: Arc<str>, task: F) -> Self {
        let task = Some(Box::pin(task));
        Self { name, task }
    }
}

impl<F: Future> Future for OnNode<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _turn = Turn::of(&self.name);
        let task = self.task.as_mut();
        let task = task.expect("invariant: nobody polls what was dropped");
        task.as_mut().poll(context)
    }
}

impl<F> Drop for OnNode<F> {
    fn drop(&mut self) {
        // What a process does when it is killed, it does on its node.
        let _turn = Turn::of(&self.name);
        drop(self.task.take());
    }
}

/// While it is there, a node is at work. One may be at work within another's turn: who kills it drops its tasks.
struct Turn(Option<Arc<str>>);

impl Turn {
    fn of(name: &Arc<str>) -> Self {
        Self(AT_WORK.replace(Some(Arc::clone(name))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        AT_WORK.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_at_work_while_its_task_is_polled_or_dropped_and_not_after() {
        struct Told(Arc<str>);
        impl Drop for Told {
            fn drop(&mut self) {
                assert_eq!(at_work().as_ref(), Some(&self.0));
            }
        }
        let name: Arc<str> = "server-1".into();
        let told = Told(Arc::clone(&name));
        let mut task = Box::pin(OnNode::new(name, async move {
            let name = at_work();
            std::future::pending::<()>().await;
            drop((name, told));
        }));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(task.as_mut().poll(&mut context).is_pending());
        assert_eq!(at_work(), None);
        drop(task);
        assert_eq!(at_work(), None);
    }
}
