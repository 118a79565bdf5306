//! Goal: what preview foresees is what the engine then does. Method: random stories, first foreseen by the simulation that preview and
//! `hence test` use, then lived through by the real client, engine and a handler on a virtual clock, many entities side by side; every
//! end of a task must be the same: step, occurrence, due instant, instant of its end, outcome.
//!
//! `HENCE_STORIES` is the number of stories, `HENCE_FIRST_STORY` the seed of the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use hence::dispatch::{Dispatchers, HandlerContext, HandlerError, HandlerReply, Handlers};
use hence::store::memory::MemoryStore;
use hence::{Client, Engine, EngineOptions, FactReaders, Telling, Told};
use hence_core::history::RecordKind;
use hence_core::library::Library;
use hence_core::simulate::Simulation;
use hence_core::timeline::EntitySnapshot;
use hence_store::port::{HistoryFilter, HistoryOrder, HistoryRow, PageRequest};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::story::{START, Spice, Story};

/// Stories in the test command.
const STORIES: u64 = 400;
/// So many live side by side.
const TOGETHER: u64 = 50;

pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// One end of a task, written down.
type End = (Timestamp, String);

fn end(at: Timestamp, step: &str, occurrence: &str, (due_at, outcome): (Timestamp, &str)) -> End {
    (at, format!("{at} {step}[{occurrence}] due {due_at} {outcome}"))
}

fn foreseen(story: &Story) -> Vec<End> {
    let mut library = Library::default();
    library.add(Arc::clone(&story.definition));
    let mut simulation = Simulation::of(library, EntitySnapshot::unknown(story.entity.clone()), START.parse().unwrap());
    for (step, word) in &story.answers {
        simulation.assume(step.clone(), word.clone());
    }
    simulation.tell(story.enrolled_at, story.enrolment.clone());
    for (at, wish) in &story.events {
        simulation.tell(*at, wish.clone());
    }
    let lines = simulation.run(Story::end());
    lines.iter().map(|line| end(line.at, line.step.as_str(), &line.occurrence, (line.due_at, &line.outcome))).collect()
}

fn lived(rows: &[HistoryRow]) -> Vec<End> {
    let ended = rows.iter().filter_map(|row| {
        let record = &row.record;
        let outcome = if record.kind == RecordKind::Held { "held" } else { record.outcome.as_deref()? };
        Some(end(record.at, record.step.as_ref()?.as_str(), &record.occurrence, (record.due_at?, outcome)))
    });
    ended.collect()
}

/// A receiver that answers to each story what it answers there.
fn receiver(stories: &[Story]) -> Handlers {
    let answers: BTreeMap<(String, String), String> = stories
        .iter()
        .flat_map(|story| {
            let of = |(step, word): (&_, &_)| ((story.entity.id().to_owned(), format!("{step}")), format!("{word}"));
            story.answers.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    let answers = Arc::new(answers);
    Handlers::new().on("receiver", move |context: HandlerContext, _: Value| {
        let word = answers[&(context.attempt.entity_id, context.attempt.step)].clone();
        async move {
            match word.as_str() {
                "done" => Ok(HandlerReply::done()),
                "failed" => Err(HandlerError::Refused("assumed to be failed".to_owned())),
                word => Ok(HandlerReply::outcome(word)),
            }
        }
    })
}

async fn arrive(client: &Client, at: Timestamp) {
    if client.now().await.unwrap() < at {
        client.advance(at).await.unwrap();
    }
    while client.now().await.unwrap() < at {
        tokio::task::yield_now().await;
    }
}

async fn tell(client: &Client, telling: Telling) {
    let told = client.tell(telling).await.unwrap();
    assert!(matches!(told, Told::CarriedOut), "{told:?}");
}

async fn live(stories: &[Story]) -> BTreeMap<u64, Vec<End>> {
    let client = Client::open(Arc::new(MemoryStore::new()), FactReaders::default(), "test").await.unwrap();
    client.clock().make_virtual(START.parse().unwrap()).await.unwrap();
    let mut tellings: Vec<(Timestamp, Telling)> = Vec::new();
    for story in stories {
        client.put_definition(&story.source).await.unwrap();
        let told = std::iter::once((story.enrolled_at, story.enrolment.clone())).chain(story.events.iter().cloned());
        tellings.extend(told.map(|(at, wish)| (at, telling(wish).at(at))));
    }
    tellings.sort_by_key(|(at, _)| *at);
    let stop = CancellationToken::new();
    let dispatchers = Dispatchers::new().with(Arc::new(receiver(stories)));
    let engine = tokio::spawn(Engine::new(client.clone(), dispatchers, EngineOptions::default()).run(stop.clone()));
    for (at, telling) in tellings {
        arrive(&client, at).await;
        tell(&client, telling).await;
    }
    // A little further, so that what is due at the end has ended.
    arrive(&client, Story::end() + jiff::SignedDuration::from_secs(1)).await;
    stop.cancel();
    engine.await.unwrap().unwrap();
    let mut ends = BTreeMap::new();
    for (index, story) in stories.iter().enumerate() {
        let filter =
            HistoryFilter { entity: Some(story.entity.clone()), order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
        let page = client.store().history(&filter, PageRequest::first(1000)).await.unwrap();
        assert!(page.next.is_none());
        let mut of_it = lived(&page.items);
        of_it.retain(|(at, _)| *at <= Story::end());
        ends.insert(index as u64, of_it);
    }
    ends
}

fn telling(wish: hence_core::wish::Wish) -> Telling {
    use hence_core::wish::Wish;
    match wish {
        Wish::Enrol { timeline, entity, given, facts } => {
            let mut enrolment = hence::Enrolment::new(timeline, entity).facts(facts);
            enrolment.given = given;
            Telling::enrol(enrolment)
        }
        Wish::Event { entity, name, data, facts } => Telling::event(entity, name, data, facts),
        other => panic!("no story has {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_does_what_preview_foresees() {
    let (first, count) = (number("HENCE_FIRST_STORY", 1), number("HENCE_STORIES", STORIES));
    let (mut all, mut kinds) = (0, BTreeMap::<String, usize>::new());
    let seeds: Vec<u64> = (first..first + count).collect();
    for seeds in seeds.chunks(usize::try_from(TOGETHER).unwrap()) {
        let stories: Vec<Story> = seeds.iter().map(|seed| Story::random(*seed, Spice { depends_on_order: true })).collect();
        let lived = live(&stories).await;
        for (index, (seed, story)) in seeds.iter().zip(&stories).enumerate() {
            let (mut foreseen, mut lived) = (foreseen(story), lived[&(index as u64)].clone());
            foreseen.sort();
            lived.sort();
            assert_eq!(
                lived, foreseen,
                "story {seed}: left lived, right foreseen\n{}\n{:#?}\n{:#?}",
                story.source, story.enrolment, story.events
            );
            all += lived.len();
            for (_, line) in lived {
                *kinds.entry(line.rsplit(' ').next().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    println!("{count} stories, {all} ends of tasks: {kinds:?}");
    assert!(all as u64 > count, "too little happens in the stories: {kinds:?}");
}
