//! Identity, clock, definitions and the inbox.

use std::sync::Arc;

use hence_core::answer::Problem;
use hence_core::name::{DefinitionHash, EntityKey};
use hence_core::timeline::{ChangeSet, Postponement};

use super::Site;
use super::fixture::{Bench, at, entity, event, name};
use crate::error::ErrorKind;
use crate::port::{
    Acceptance, BATCH_MAX, ClockSetting, Conflict, EntityFilter, InboxEntry, PageRequest, Postponed, StoredDefinition,
};

pub(super) async fn identity_stays_and_ids_rise(site: Arc<dyn Site>) {
    let (one, other) = (site.open(), site.open());
    let identity = one.identity().await.unwrap();
    assert_eq!(identity, other.identity().await.unwrap());
    assert_eq!(identity.store_id.len(), 8);
    assert!(identity.store_id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    let mut given = std::collections::BTreeSet::new();
    for store in [&one, &other] {
        let mut last = 0;
        for count in [1, 3, 1024, 5000, 7] {
            let ids = store.reserve_ids(count).await.unwrap();
            assert_eq!(ids.clone().count(), count);
            assert!(ids.start > last, "numbers rise");
            last = ids.end - 1;
            assert!(ids.into_iter().all(|id| given.insert(id)), "no number is given twice");
        }
    }
}

pub(super) async fn the_clock_is_shared(site: Arc<dyn Site>) {
    let (one, other) = (site.open(), site.open());
    // Time goes on by itself, by the machine's clock or the database's.
    let goes_on = |setting: ClockSetting| !matches!(setting, ClockSetting::Virtual { .. });
    one.set_clock(ClockSetting::System).await.unwrap();
    assert!(goes_on(one.clock().await.unwrap()));
    let setting = ClockSetting::Virtual { now: at(1), target: at(100) };
    one.set_clock(setting).await.unwrap();
    assert_eq!(other.clock().await.unwrap(), setting);
    other.set_clock(ClockSetting::System).await.unwrap();
    assert!(goes_on(one.clock().await.unwrap()));
}

pub(super) async fn definitions_keep_every_version(site: Arc<dyn Site>) {
    let store = site.open();
    let of = |definition: &str, hash: &str, second: i64| StoredDefinition {
        hash: DefinitionHash(hash.to_owned()),
        name: name(definition),
        source: format!("# {hash}"),
        created_at: at(second),
        is_current: false,
    };
    assert!(store.put_definition(of("trial", "aa", 1)).await.unwrap());
    assert!(store.put_definition(of("trial", "bb", 2)).await.unwrap());
    assert!(store.put_definition(of("order", "cc", 3)).await.unwrap());
    let shown = |all: Vec<StoredDefinition>| all.into_iter().map(|one| (one.hash.0, one.is_current)).collect::<Vec<_>>();
    let expected = [("cc", true), ("aa", false), ("bb", true)].map(|(hash, is_current)| (hash.to_owned(), is_current));
    assert_eq!(shown(store.definitions().await.unwrap()), expected);
    assert!(!store.put_definition(of("trial", "aa", 4)).await.unwrap(), "it is known");
    let expected = [("cc", true), ("bb", false), ("aa", true)].map(|(hash, is_current)| (hash.to_owned(), is_current));
    assert_eq!(shown(store.definitions().await.unwrap()), expected, "the one put last is the current one");
    let found = store.definitions().await.unwrap().pop().unwrap();
    assert_eq!(found, StoredDefinition { is_current: true, ..of("trial", "aa", 1) });
}

pub(super) async fn wishes_come_back_oldest_first(site: Arc<dyn Site>) {
    let store = site.open();
    let (one, two) = (entity("account/1"), entity("account/2"));
    let told = [event(&one, "account.paid"), event(&two, "account.paid"), event(&one, "account.closed")];
    let accepted = store.accept(told.to_vec(), at(1)).await.unwrap();
    let ids: Vec<_> = accepted
        .iter()
        .map(|accepted| match accepted {
            Acceptance::Accepted { id, is_duplicate: false } => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ids.is_sorted_by(|one, other| one < other));
    let wishes = store.wishes(None, at(0), 10).await.unwrap();
    assert_eq!(wishes.iter().map(InboxEntry::id).collect::<Vec<_>>(), ids);
    let InboxEntry::Wish(first) = &wishes[0] else { panic!("the wish cannot be read") };
    assert_eq!((&first.wish, first.at, first.actor.as_str()), (&told[0].wish, at(0), "app"));
    assert_eq!(store.wishes(None, at(0), 2).await.unwrap(), wishes[..2]);
    assert_eq!(store.wishes_of(&one).await.unwrap(), [wishes[0].clone(), wishes[2].clone()]);
    assert_eq!(store.wishes_of(&entity("account/3")).await.unwrap(), []);
    assert_eq!(store.totals().await.unwrap().wishes, 3);
    assert_eq!(site.open().wishes(None, at(0), 10).await.unwrap(), wishes, "another process sees them");
}

pub(super) async fn same_key_and_wish_gives_the_same_id(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let mut wish = event(&entity("account/1"), "account.paid");
    wish.key = Some("pay-7\0é".to_owned());
    // The same again within one batch, in another batch, and from another process.
    let batch = bench.store.accept(vec![wish.clone(), wish.clone()], at(1)).await.unwrap();
    let Acceptance::Accepted { id, is_duplicate: false } = batch[0] else { panic!("{batch:?}") };
    let again = Acceptance::Accepted { id, is_duplicate: true };
    assert_eq!(batch[1], again);
    assert_eq!(site.open().accept(vec![wish.clone()], at(2)).await.unwrap(), [again]);
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap().len(), 1);
    // Also once it was carried out.
    let mut changes = ChangeSet::new(entity("account/1"));
    changes.carried_out.push(id);
    bench.write(changes, at(3)).await;
    assert_eq!(bench.store.accept(vec![wish], at(4)).await.unwrap(), [again]);
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap(), []);
}

pub(super) async fn same_key_with_another_wish_changes_nothing(site: Arc<dyn Site>) {
    let store = site.open();
    let mut wish = event(&entity("account/1"), "account.paid");
    wish.key = Some("k".to_owned());
    let mut other = event(&entity("account/2"), "account.closed");
    other.key = wish.key.clone();
    let accepted = store.accept(vec![wish, other], at(1)).await.unwrap();
    let Acceptance::Accepted { id, .. } = accepted[0] else { panic!("{accepted:?}") };
    assert_eq!(accepted[1], Acceptance::KeyConflict { id });
    assert_eq!(store.wishes(None, at(0), 10).await.unwrap().len(), 1);
}

pub(super) async fn keys_are_kept_for_a_day(site: Arc<dyn Site>) {
    let store = site.open();
    let mut wish = event(&entity("account/1"), "account.paid");
    wish.key = Some("k".to_owned());
    let day = 24 * 3600;
    let first = store.accept(vec![wish.clone()], at(0)).await.unwrap()[0];
    let Acceptance::Accepted { id, .. } = first else { panic!("{first:?}") };
    let again = store.accept(vec![wish.clone()], at(day)).await.unwrap()[0];
    assert_eq!(again, Acceptance::Accepted { id, is_duplicate: true });
    let later = store.accept(vec![wish], at(3 * day)).await.unwrap()[0];
    assert!(matches!(later, Acceptance::Accepted { id: other, is_duplicate: false } if other > id));
}

pub(super) async fn odd_texts_come_back_as_they_were(site: Arc<dyn Site>) {
    let store = site.open();
    let texts =
        ["", "\0", "a\0b", "\u{fffd}\u{feff}\u{202e}", "'; drop table task; --", "%_*?", "\u{10ffff}", &"é".repeat(10_000)];
    for (number, text) in texts.into_iter().enumerate() {
        let mut wish = event(&entity(&format!("account/{number}")), "account.paid");
        wish.actor = text.to_owned();
        if let hence_core::wish::Wish::Event { data, .. } = &mut wish.wish {
            *data = serde_json::json!({ text: text });
        }
        store.accept(vec![wish.clone()], at(1)).await.unwrap();
        let stored = store.wishes_of(wish.wish.entity()).await.unwrap();
        let InboxEntry::Wish(stored) = &stored[0] else { panic!("{text:?} cannot be read") };
        assert_eq!((&stored.wish, &stored.actor), (&wish.wish, &wish.actor));
    }
}

pub(super) async fn limits_of_a_batch_are_refused(site: Arc<dyn Site>) {
    let store = site.open();
    let wish = event(&entity("account/1"), "account.paid");
    let kind = |error: crate::Error| error.kind().clone();
    assert_eq!(kind(store.accept(vec![wish.clone(); BATCH_MAX + 1], at(0)).await.unwrap_err()), ErrorKind::Invalid);
    for key in ["".to_owned(), "k".repeat(256)] {
        let wish = crate::port::NewWish { key: Some(key), ..wish.clone() };
        assert_eq!(kind(store.accept(vec![wish], at(0)).await.unwrap_err()), ErrorKind::Invalid);
    }
    assert_eq!(kind(store.reserve_ids(0).await.unwrap_err()), ErrorKind::Invalid);
    assert_eq!(kind(store.wishes(None, at(0), BATCH_MAX + 1).await.unwrap_err()), ErrorKind::Invalid);
    assert_eq!(store.accept(Vec::new(), at(0)).await.unwrap(), []);
    assert_eq!(store.write(None, Vec::new(), at(0)).await.unwrap(), []);
    assert_eq!(store.wishes(None, at(0), BATCH_MAX).await.unwrap(), [], "a refused batch left nothing");
}

pub(super) async fn postponed_wishes_wait_until_they_are_tried_again(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let (one, two) = (entity("account/1"), entity("account/2"));
    let told = vec![event(&one, "account.paid"), event(&two, "account.paid"), event(&one, "account.closed")];
    bench.store.accept(told, at(0)).await.unwrap();
    let all = bench.store.wishes(None, at(0), 10).await.unwrap();
    let postpone = |wish: usize, second: i64| {
        let problem = Problem { code: "facts-not-read".to_owned(), message: format!("down at {second}") };
        let mut changes = ChangeSet::new(one.clone());
        changes.postponed = Some(Postponement { wish: all[wish].id(), try_at: at(second), problem });
        changes
    };
    bench.write(postpone(0, 20), at(10)).await;
    bench.write(postpone(2, 40), at(20)).await;
    // A wish that is not there, and one that is about another entity.
    let gone = all[1].id();
    assert_eq!(bench.refused(postpone(1, 99), at(21)).await, Conflict::WishGone(gone));
    assert_eq!(bench.store.wishes(None, at(39), 10).await.unwrap(), all[1..2], "both wishes of the entity wait");
    assert_eq!(bench.store.wishes(None, at(40), 10).await.unwrap(), all);
    assert_eq!(bench.store.wishes_of(&one).await.unwrap(), [all[0].clone(), all[2].clone()]);
    let problem = Problem { code: "facts-not-read".to_owned(), message: "down at 40".to_owned() };
    let seen = Postponed { wishes: 2, since: at(10), tries: 2, try_at: at(40), problem };
    assert_eq!(postponed(&Bench { store: site.open() }).await, [(one.clone(), Some(seen.clone()))]);
    let any = bench.store.entities(&EntityFilter::default(), PageRequest::first(10)).await.unwrap().items;
    assert_eq!(any.into_iter().map(|row| row.postponed).collect::<Vec<_>>(), [Some(seen), None]);
    // Carrying one of them out ends it.
    let mut changes = ChangeSet::new(one.clone());
    changes.carried_out.push(all[0].id());
    bench.write(changes, at(30)).await;
    assert_eq!(postponed(&bench).await, []);
    assert_eq!(bench.store.wishes(None, at(30), 10).await.unwrap(), all[1..]);
    // So does erasing.
    bench.write(postpone(2, 90), at(31)).await;
    assert!(bench.store.erase(&one, at(32)).await.unwrap());
    assert_eq!(postponed(&bench).await, []);
}

async fn postponed(bench: &Bench) -> Vec<(EntityKey, Option<Postponed>)> {
    let filter = EntityFilter { is_postponed: true, ..EntityFilter::default() };
    let found = bench.store.entities(&filter, PageRequest::first(10)).await.unwrap().items;
    found.into_iter().map(|row| (row.entity, row.postponed)).collect()
}
