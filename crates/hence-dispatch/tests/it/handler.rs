//! Goal: in-process handlers pass the conformance suite. Method: one handler that behaves as told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hence_dispatch::conformance::{self, Behaviour, Rig};
use hence_dispatch::{Destination, Dispatcher, HandlerContext, HandlerError, HandlerReply, Handlers};

type State = Arc<Mutex<(Option<Behaviour>, Vec<String>)>>;

struct HandlerRig {
    state: State,
    handlers: Arc<Handlers>,
}

async fn obey(state: State, context: HandlerContext) -> Result<HandlerReply, HandlerError> {
    let behaviour = state.lock().unwrap().0.unwrap();
    match behaviour {
        Behaviour::RefuseForNow => return Err(HandlerError::again("not now")),
        Behaviour::RefuseForGood => return Err(HandlerError::Refused("never".into())),
        Behaviour::Hostile => panic!("\0\r\n{}", "x".repeat(100_000)),
        _ => state.lock().unwrap().1.push(context.attempt.task),
    }
    match behaviour {
        Behaviour::ActAndStall => std::future::pending().await,
        Behaviour::ActAndBreakOff => Err(HandlerError::Unknown("lost the link to the bank".into())),
        _ => Ok(HandlerReply::done()),
    }
}

#[async_trait]
impl Rig for HandlerRig {
    fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        self.handlers.clone()
    }
    fn destination(&self) -> Destination {
        Destination::Handler { name: "obey".into() }
    }
    async fn behave(&self, behaviour: Behaviour) -> bool {
        self.state.lock().unwrap().0 = Some(behaviour);
        !matches!(behaviour, Behaviour::Unreachable | Behaviour::Silent)
    }
    async fn carried_out(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }
}

#[tokio::test]
async fn handlers_conform() {
    let state = State::default();
    let inner = state.clone();
    let handlers = Handlers::new().on("obey", move |context, _: serde_json::Value| obey(inner.clone(), context));
    conformance::run(&HandlerRig { state, handlers: Arc::new(handlers) }).await;
}
