/* What is said to SQLite, by enum statement. */
#include "store/database.h"
#include "store/schema.h"
#include "store/space.h"

#define APPEND                                                         \
  "INSERT INTO outbox (" OUTBOX_COLUMNS ", crc) SELECT *, " OUTBOX_CRC \
  " FROM"                                                              \
  " (SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0) + 1 AS row, "

/* As struct space has room for a leg; none of Telnyx is longer, and what is stays. */
#define SHORT_NAME " AND length(CAST(leg AS BLOB)) < 512"
_Static_assert(SPACE_LEG_BYTES == 512, "as in SHORT_NAME");

/* The states as record_crc() takes them, one of them replaced. */
#define STATES_MONGO(value)        value ", redis_queue, redis_alerts"
#define STATES_REDIS_QUEUE(value)  "mongo, " value ", redis_alerts"
#define STATES_REDIS_ALERTS(value) "mongo, redis_queue, " value

/* What every sink asks of its own column of `outbox`, which its index is named after. */
#define SINK_STATEMENTS(sink, column, states)                                                           \
  [SQL_SET_STATE + sink] = "UPDATE outbox SET " column                                                  \
                           " = ?2, crc = record_crc(row, leg, kind, id, n, "                            \
                           "fact, at_ms, body, " states("?2") ") WHERE row = ?1",                       \
                   [SQL_REWIND + sink] =                                                                \
                       "UPDATE outbox SET " column                                                      \
                       " = 0, crc = record_crc(row, leg, kind, id, n, fact, "                           \
                       "at_ms, body, " states("0") ") WHERE row > ?1 AND row <= ?2 AND " column         \
                                                   " = 1 AND crc = " OUTBOX_CRC,                        \
                   [SQL_IN_INDEX + sink] = "SELECT row FROM outbox INDEXED BY outbox_" column           \
                                           " WHERE " column " = 0 AND row = ?1",                        \
                   [SQL_COUNT_PENDING + sink] =                                                         \
                       "SELECT count(*) FROM outbox INDEXED BY outbox_" column " WHERE " column " = 0", \
                   [SQL_OLDEST + sink] = "SELECT at_ms FROM outbox INDEXED BY outbox_" column           \
                                         " WHERE " column " = 0 ORDER BY row LIMIT 1"

const char *const statement_sql[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT request",
    [SQL_RELEASE] = "RELEASE request",
    [SQL_ROLLBACK_TO] = "ROLLBACK TO request",
    [SQL_PUT_EVENT_ID] = "INSERT INTO event_ids (id, seen_at_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [SQL_PUT_EVENT] = "INSERT INTO events (id, leg, received_at_ms, body, crc) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_PUT_PART] =
        "INSERT INTO parts (leg, part, n, open, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (leg, part) DO UPDATE SET n = excluded.n, open = excluded.open,"
        " body = excluded.body, crc = excluded.crc WHERE excluded.n > n",
    [SQL_PUT_CALLLOG] =
        "INSERT INTO calllogs (leg, call_log_id, initiated_at_ms, status, direction, from_number, to_number,"
        " total_s, mos, list_crc, revision, open, body, crc)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (leg) DO UPDATE SET call_log_id = excluded.call_log_id,"
        " initiated_at_ms = excluded.initiated_at_ms, status = excluded.status, direction = "
        "excluded.direction,"
        " from_number = excluded.from_number, to_number = excluded.to_number, total_s = excluded.total_s,"
        " mos = excluded.mos, list_crc = excluded.list_crc, revision = excluded.revision, open = "
        "excluded.open,"
        " body = excluded.body, crc = excluded.crc WHERE excluded.revision >= revision",
    [SQL_EVENTS_OF_LEG] =
        "SELECT row, id, leg, received_at_ms, body, crc FROM events WHERE leg = ?1 ORDER BY row",
    [SQL_PARTS_OF_LEG] = "SELECT row, part, leg, n, body, crc, open FROM parts WHERE leg = ?1 ORDER BY row",
    [SQL_QUARANTINE_EVENT] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'events', leg, id, body, crc, " NOW_MS " FROM events WHERE row = ?1",
    [SQL_QUARANTINE_PART] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'parts', leg, part, body, crc, " NOW_MS " FROM parts WHERE row = ?1",
    /* The id may be what is damaged: the outbox knows it too. */
    [SQL_FORGET_EVENT_ID] =
        "DELETE FROM event_ids WHERE id IN (SELECT id FROM events WHERE row = ?1 UNION SELECT o.id"
        " FROM events AS e JOIN outbox AS o ON o.leg = e.leg WHERE e.row = ?1 AND o.kind = 0 AND o.fact = "
        "?1)",
    [SQL_CALLLOG_OF_LEG] =
        "SELECT row, call_log_id, initiated_at_ms, status, direction, from_number, to_number, total_s, mos, "
        "list_crc,"
        " revision, open, body, crc FROM calllogs WHERE leg = ?1",
    [SQL_QUARANTINE_CALLLOG] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'calllogs', leg, call_log_id, body, crc, " NOW_MS " FROM calllogs WHERE row = ?1",
    [SQL_DROP_CALLLOG] = "DELETE FROM calllogs WHERE row = ?1",
    [SQL_DROP_EVENT] = "DELETE FROM events WHERE row = ?1",
    [SQL_DROP_PART] = "DELETE FROM parts WHERE row = ?1",
    [SQL_FORGET_OLD_IDS] =
        "DELETE FROM event_ids WHERE id IN (SELECT id FROM event_ids"
        " WHERE seen_at_ms < ?1 ORDER BY seen_at_ms LIMIT ?2)",
    [SQL_OPEN_LEGS] = "SELECT leg FROM legs INDEXED BY legs_unsettled WHERE open <> 0 OR revision > settled",
    [SQL_STORED_PART] = "SELECT n, open, body, crc FROM parts WHERE leg = ?1 AND part = ?2",
    [SQL_OPEN_PARTS] = "SELECT EXISTS (SELECT 1 FROM parts WHERE leg = ?1 AND open = 1)",
    [SQL_GET_LEG] = "SELECT revision, settled, open, ended, ended_at_ms, gone, crc = " LEG_CRC
                    " FROM legs WHERE leg = ?1",
    [SQL_PUT_LEG] = "INSERT OR REPLACE INTO legs (" LEG_COLUMNS
                    ", crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, record_crc(?1, ?2, ?3, ?4, ?5, ?6, ?7))",
    [SQL_COUNT_LEG] =
        "SELECT (SELECT count(*) FROM events WHERE leg = ?1) + coalesce((SELECT sum(n) FROM parts WHERE leg "
        "= "
        "?1), 0),"
        " coalesce((SELECT revision FROM calllogs WHERE leg = ?1), -1),"
        " EXISTS (SELECT 1 FROM parts WHERE leg = ?1 AND open = 1)"
        " + 2 * coalesce((SELECT open FROM calllogs WHERE leg = ?1), 0),"
        " coalesce((SELECT 1 - open FROM calllogs WHERE leg = ?1), 0), " NOW_MS ", 0",
    [SQL_QUARANTINE_LEG] =
        "INSERT INTO quarantine (source, leg, crc, found_at_ms)"
        " SELECT 'legs', leg, crc, " NOW_MS " FROM legs WHERE leg = ?1",
    [SQL_APPEND_EVENT] = APPEND "leg, 0 AS kind, id, 0 AS n, row AS fact, " NOW_MS
                                " AS at_ms, NULL AS body, 0 AS mongo, 0 AS redis_queue, 4 AS redis_alerts"
                                " FROM events WHERE row = ?1)",
    [SQL_APPEND_PART] = APPEND "leg, 1 AS kind, part AS id, n, row AS fact, " NOW_MS
                               " AS at_ms, NULL AS body, 0 AS mongo, 0 AS redis_queue, 4 AS redis_alerts"
                               " FROM parts WHERE leg = ?1 AND part = ?2)",
    [SQL_APPEND_ALERT] = APPEND "?1 AS leg, 2 AS kind, ?2 AS id, 0 AS n, 0 AS fact, " NOW_MS
                                " AS at_ms, ?3 AS body, 4 AS mongo, 4 AS redis_queue, 0 AS redis_alerts)",
    [SQL_OUTBOX_HEAD] =
        "SELECT kind, mongo, redis_queue, redis_alerts, crc = " OUTBOX_CRC
        ","
        " CASE kind WHEN 0 THEN EXISTS (SELECT 1 FROM events AS e WHERE e.row = outbox.fact AND e.leg = "
        "outbox.leg AND e.id = outbox.id)"
        " ELSE EXISTS (SELECT 1 FROM parts AS p WHERE p.row = outbox.fact AND p.leg = outbox.leg"
        " AND p.part = outbox.id) END FROM outbox WHERE row = ?1",
    [SQL_OUTBOX_LEG] = "SELECT leg FROM outbox WHERE row = ?1",
    [SQL_PUT_TRIES] = "INSERT OR REPLACE INTO outbox_tries (" TRIES_COLUMNS ", crc) SELECT *, " TRIES_CRC
                      " FROM (SELECT ?1 AS row, ?2 AS sink, ?3 AS tries, ?4 AS reason, " NOW_MS " AS at_ms)",
    [SQL_DROP_TRIES] = "DELETE FROM outbox_tries WHERE row = ?1 AND sink = ?2",
    [SQL_DROP_TRIES_OF_ROW] = "DELETE FROM outbox_tries WHERE row = ?1",
    [SQL_QUARANTINE_OUTBOX] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'outbox', leg, id, body, crc, " NOW_MS " FROM outbox WHERE row = ?1",
    [SQL_DROP_OUTBOX] = "DELETE FROM outbox WHERE row = ?1",
    [SQL_APPEND_LIKE] = "INSERT INTO outbox (" OUTBOX_COLUMNS ", crc) SELECT *, " OUTBOX_CRC
                        " FROM (WITH bad AS (SELECT leg, id, fact FROM outbox WHERE row = ?1)"
                        " SELECT row_number() OVER (ORDER BY kind, fact)"
                        " + coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0) AS row,"
                        " leg, kind, id, n, fact, " NOW_MS
                        " AS at_ms, NULL AS body, 0 AS mongo, 0 AS redis_queue,"
                        " 4 AS redis_alerts FROM"
                        " (SELECT e.leg, 0 AS kind, e.id, 0 AS n, e.row AS fact FROM bad JOIN events AS e"
                        " ON e.row = bad.fact AND (e.leg = bad.leg OR e.id = bad.id)"
                        " UNION SELECT e.leg, 0, e.id, 0, e.row FROM bad JOIN events AS e"
                        " ON e.leg = bad.leg AND e.id = bad.id"
                        " UNION SELECT p.leg, 1, p.part, p.n, p.row FROM bad JOIN parts AS p"
                        " ON p.row = bad.fact AND (p.leg = bad.leg OR p.part = bad.id)"
                        " UNION SELECT p.leg, 1, p.part, p.n, p.row FROM bad JOIN parts AS p"
                        " ON p.leg = bad.leg AND p.part = bad.id))",
    [SQL_COUNT_DEAD] =
        "SELECT total(mongo = 2), total(redis_queue = 2), total(redis_alerts = 2)"
        " FROM outbox INDEXED BY outbox_dead WHERE mongo = 2 OR redis_queue = 2 OR redis_alerts = 2",
    [SQL_DATA_VERSION] = "PRAGMA data_version",
    [SQL_LAST_ROW] = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'",
    SINK_STATEMENTS(SINK_MONGO, "mongo", STATES_MONGO),
    SINK_STATEMENTS(SINK_REDIS_QUEUE, "redis_queue", STATES_REDIS_QUEUE),
    SINK_STATEMENTS(SINK_REDIS_ALERTS, "redis_alerts", STATES_REDIS_ALERTS),
    [SQL_GET_VALUE] = "SELECT value, crc FROM meta WHERE key = ?1",
    [SQL_PAGE_COUNT] = "PRAGMA page_count",
    [SQL_FREE_PAGES] = "PRAGMA freelist_count",
    [SQL_ENDED_LEG] =
        "SELECT ended_at_ms, leg FROM legs INDEXED BY legs_by_end WHERE ended = 1"
        " AND ended_at_ms > 0 AND (ended_at_ms, leg) > (?1, ?2) AND ended_at_ms <= ?3" SHORT_NAME
        " ORDER BY ended_at_ms, leg LIMIT 1",
    [SQL_LEG_ROWS] = "SELECT total(crc <> " OUTBOX_CRC
                     "), total(mongo = 0), total(redis_queue = 0),"
                     " total(redis_alerts = 0), total(mongo = 2), total(redis_queue = 2),"
                     " total(redis_alerts = 2) FROM outbox WHERE leg = ?1",
    [SQL_DROP_TRIES_OF_LEG] = "DELETE FROM outbox_tries WHERE row IN (SELECT row FROM outbox WHERE leg = ?1)",
    [SQL_DROP_OUTBOX_OF_LEG] = "DELETE FROM outbox WHERE leg = ?1",
    [SQL_DROP_EVENTS_OF_LEG] = "DELETE FROM events WHERE leg = ?1",
    [SQL_DROP_PARTS_OF_LEG] = "DELETE FROM parts WHERE leg = ?1",
    [SQL_OLDEST_GONE] =
        "SELECT leg FROM legs INDEXED BY legs_by_end WHERE ended = 1 AND ended_at_ms < 0"
        " AND revision = gone" SHORT_NAME " ORDER BY ended_at_ms DESC LIMIT 1",
    [SQL_DROP_CALLLOG_OF_LEG] = "DELETE FROM calllogs WHERE leg = ?1",
    [SQL_DROP_LEG] = "DELETE FROM legs WHERE leg = ?1",
    [SQL_DROP_LEGLESS] =
        "DELETE FROM events WHERE row IN (SELECT row FROM events WHERE leg IS NULL"
        " AND received_at_ms <= ?1 ORDER BY row LIMIT ?2)",
    [SQL_QUARANTINE_VALUE] =
        "INSERT INTO quarantine (source, id, body, crc, found_at_ms)"
        " SELECT 'meta', key, value, crc, " NOW_MS " FROM meta WHERE key = ?1",
    [SQL_DROP_VALUE] = "DELETE FROM meta WHERE key = ?1",
    [SQL_PUT_VALUE] = ("INSERT INTO meta (key, value, crc) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc"),
};
_Static_assert(sizeof statement_sql / sizeof *statement_sql == SQL_COUNT, "SQL for each statement");
