//! Goal: every statement of the PostgreSQL store can be prepared, is led by an index, and the schema is the one that is written down.
//! Method: each file is prepared and explained on a new store, as the store plans it; reading a whole table, or a sort of what was found, is
//! an error unless it stands in the list below with its reason. The catalogue is printed and compared with `schema/postgres.sql`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::sites::InPostgres;

/// What may be seen in a plan: the statement, the step of the plan, and why that is right.
const ALLOWED: [(&str, &str, &str); 33] = [
    ("definition/", "Seq Scan on definition", "a row for each version of a file: tens"),
    ("definition/list", "Sort", "the same tens are sorted"),
    ("upcoming/steps", "Seq Scan on step", "a row for each step of each definition: hundreds"),
    ("upcoming/of_state", "Sort", "few tasks run, are held or wait for an answer"),
    ("upcoming/of_step", "Sort", "a page of each step is merged"),
    ("counter/", "Seq Scan on counter_change", "what is not folded yet, at most some tens of thousands"),
    ("counter/", "Seq Scan on tally_change", "what is not folded yet, at most some thousands"),
    ("counter/", "Seq Scan on tally", "a row for each state and outcome: tens"),
    ("counter/drop", "Seq Scan on counter", "hours times steps, now and then"),
    ("counter/", "Sort", "counters of the asked range are summed up: hours times steps"),
    ("lease/", "Seq Scan on node", "a row for each process: tens"),
    ("lease/", "Seq Scan on shard", "64 rows"),
    ("lease/", "Sort", "64 rows"),
    ("start/", "Seq Scan on shard", "64 rows"),
    ("start/start", "Sort", "the shards, and the tasks that are started"),
    ("start/orphans", "Sort", "what runs, of which there is little"),
    ("entity/find", "Sort", "the rows that were asked for, brought into the order of locking"),
    ("entity/hold", "Sort", "the rows that were asked for, brought into the order of locking"),
    ("entity/insert", "Sort", "the rows that are made, brought into the order of locking"),
    ("entity/postponed", "Seq Scan on postponed", "a row for each entity whose facts cannot be read: none while all is well"),
    ("entity/postponed", "Sort", "the same few are sorted"),
    ("inbox/postpone", "Sort", "the rows that are made, brought into the order of locking"),
    ("inbox/find", "Sort", "the rows that were asked for, brought into the order of locking"),
    ("inbox/insert", "Sort", "the rows that are made, in the order of the arrays"),
    ("inbox/of_entity", "Sort", "an entity has few wishes"),
    ("inbox/put_key", "Sort", "the rows that are made, brought into the order of locking"),
    ("snapshot/", "Sort", "what is stored of the entities that were asked for"),
    ("write/find_live", "Sort", "the rows that were asked for, brought into the order of locking"),
    ("write/insert_step", "Sort", "the rows that are made, brought into the order of locking"),
    ("write/insert_record", "Sort", "the rows that are made, in the order of the arrays"),
    ("write/put_timeline", "Sort", "the rows that are made, brought into the order of locking"),
    ("erase/body_reasons", "Sort", "the tasks of one entity are made distinct"),
    ("history/of_task", "Sort", "the records of one task"),
];

/// How the dump of the schema begins.
const HEADER: &str = "-- The schema of the PostgreSQL store, as the migrations make it. A test compares this dump with a new database; nothing \
     reads it otherwise.";

/// Everything in the schema `hence`, one piece a line or more.
const CATALOGUE: &str = r"
with pieces as (
  select 1 as part, c.relname::text as name, 'table ' || c.relname || coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')
      || coalesce(' partition by ' || pg_get_partkeydef(c.oid), '') || E'\n'
      || string_agg('  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> 0 and l.collname <> 'default' then ' collate ' || l.collname else '' end
        || case when a.attnotnull then ' not null' else '' end
        || case when a.attidentity <> '' then ' identity' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''), E'\n' order by a.attnum) as text
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_collation l on l.oid = a.attcollation left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace = 'hence'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  group by c.oid, c.relname, c.reloptions
  union all
  select 2, k.conname, 'constraint ' || k.conrelid::regclass || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
  from pg_constraint k join pg_class c on c.oid = k.conrelid
  where k.connamespace = 'hence'::regnamespace and not c.relispartition and k.contype <> 'n'
  union all
  select 3, c.relname, pg_get_indexdef(c.oid) from pg_class c
  where c.relnamespace = 'hence'::regnamespace and c.relkind in ('i', 'I') and not c.relispartition
  union all
  select 4, c.relname, 'sequence ' || c.relname from pg_class c where c.relnamespace = 'hence'::regnamespace and c.relkind = 'S'
  union all
  select 5, p.proname, pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'hence'::regnamespace
  union all
  select 6, t.tgname, pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where c.relnamespace = 'hence'::regnamespace and not t.tgisinternal)
select string_agg(text, E'\n\n' order by part, name, text) from pieces";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/postgres")
}

/// Every statement file by its name, such as `start/start`.
fn statements() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for area in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let area_name = area.file_name().unwrap().to_str().unwrap().to_owned();
        if area_name == "migrations" {
            continue;
        }
        for file in std::fs::read_dir(area).unwrap().map(|entry| entry.unwrap().path()) {
            let name = format!("{area_name}/{}", file.file_stem().unwrap().to_str().unwrap());
            found.insert(name, std::fs::read_to_string(file).unwrap());
        }
    }
    assert!(found.len() > 50, "the files are found");
    found
}

/// The highest parameter of a text.
fn parameters(text: &str) -> u32 {
    let parts = text.split('$').skip(1);
    parts.filter_map(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).max().unwrap_or(0)
}

/// A value for a parameter, of the type that its cast says; numbers rise, so that a range of time is one, in a part of history that there is.
fn value_of(sql: &str, number: u32) -> String {
    let cast = sql.split(&format!("${number}::")).nth(1).unwrap_or_default();
    let is_array = cast.trim_start_matches(|c: char| c.is_ascii_lowercase()).starts_with("[]");
    match (cast.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default(), is_array) {
        ("bigint", false) => format!("{number}000000000000"),
        ("smallint", false) => number.to_string(),
        ("bigint" | "smallint", true) => "'{1}'".to_owned(),
        ("boolean", false) => "true".to_owned(),
        ("boolean", true) => "'{t}'".to_owned(),
        (_, false) => "'x'".to_owned(),
        (_, true) => "'{x}'".to_owned(),
    }
}

/// The plans of all statements, each as the store has it planned.
fn plans(site: &InPostgres) -> BTreeMap<String, String> {
    let mut script = String::from(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
         set enable_bitmapscan = off; set jit = off; select hence.make_history(0); select hence.make_history(3);\n",
    );
    let mut named = BTreeMap::new();
    for (name, sql) in statements() {
        named.insert(name.clone(), sql.clone());
        if sql.contains("order by h.seq asc") {
            named.insert(format!("{name} newest first"), sql.replace("order by h.seq asc", "order by h.seq desc"));
        }
    }
    for (name, sql) in &named {
        let values: Vec<String> = (1..=parameters(sql)).map(|number| value_of(sql, number)).collect();
        let arguments = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        script.push_str(&format!(
            "prepare q as {sql}\nselect '== {name}';\nexplain (costs off) execute q{arguments};\ndeallocate q;\n"
        ));
    }
    let printed = site.sql(&script);
    let parts = printed.split("== ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(name, plan)| (name.to_owned(), plan.to_owned())).collect()
}

#[test]
fn no_statement_of_postgres_looks_at_a_whole_table() {
    let site = InPostgres::new(8);
    let plans = plans(&site);
    assert!(plans.len() > 80, "{} plans", plans.len());
    let mut wrong = Vec::new();
    for (name, plan) in plans {
        for step in plan.lines().map(|line| line.trim().trim_start_matches("->").trim()) {
            let is_suspect = step.starts_with("Seq Scan") || step.starts_with("Sort") && !step.starts_with("Sort Key");
            let is_allowed = ALLOWED.iter().any(|(of, seen, _)| name.starts_with(of) && step.contains(seen));
            if is_suspect && !is_allowed {
                wrong.push(format!("{name}: {step}\n{plan}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statements_of_postgres_are_led_by_the_index_that_they_name() {
    let site = InPostgres::new(8);
    let texts = statements();
    for (name, plan) in plans(&site) {
        let sql = &texts[name.trim_end_matches(" newest first")];
        let comment: String = sql.lines().take_while(|line| line.starts_with("--")).collect();
        for (index, shown) in [
            ("live_wake", "live_wake"),
            ("live_entity", "live_entity"),
            ("live_step", "live_step"),
            ("body_occurrence", "body_occurrence"),
            ("history_entity", "_entity_seq_idx"),
            ("history_step", "_step_seq_idx"),
            ("history_kind", "_kind_seq_idx"),
            ("wish_entity", "wish_entity"),
            ("timeline_entity", "timeline_entity"),
            ("entity_erase", "entity_erase"),
            ("entity_idle", "entity_idle"),
            ("accepted_key_entity", "accepted_key_entity"),
            ("accepted_key_accepted", "accepted_key_accepted"),
        ] {
            if comment.contains(index) {
                assert!(plan.contains(shown), "{name} does not use {index}:\n{plan}");
            }
        }
    }
}

#[test]
fn every_statement_of_postgres_says_what_it_is() {
    for (name, sql) in statements() {
        assert!(sql.starts_with("-- "), "{name} begins with a comment");
        assert!(sql.contains("Called "), "{name} says who calls it");
        let code: String = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        assert_eq!(code.matches(';').count(), 1, "{name} is one statement");
        let comment = sql.replace(&code, "");
        assert_eq!(parameters(&comment), parameters(&code), "{name} says what its parameters are");
        for number in 1..=parameters(&code) {
            let uses: Vec<&str> = code
                .split(&format!("${number}"))
                .skip(1)
                .filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
                .collect();
            assert!(
                uses.first().is_some_and(|rest| rest.starts_with("::")),
                "{name} says the type of ${number} where it comes first"
            );
        }
    }
}

#[test]
fn the_schema_of_postgres_is_the_one_that_is_written_down() {
    let site = InPostgres::new(8);
    let found = format!("{HEADER}\n\n{}\n", site.sql(CATALOGUE));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/postgres.sql");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != found {
        // The dump lies beside the tests of this run, so that it can be looked at and taken over.
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres.sql");
        std::fs::write(&new, &found).unwrap();
        panic!("schema/postgres.sql is not the schema that the migrations make; it should be {}", new.display());
    }
}
