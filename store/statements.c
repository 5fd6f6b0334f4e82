/* What is said to SQLite, by enum statement. */
#include "store/database.h"
#include "store/schema.h"

#define APPEND                                                         \
  "INSERT INTO outbox (" OUTBOX_COLUMNS ", crc) SELECT *, " OUTBOX_CRC \
  " FROM"                                                              \
  " (SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'), 0) + 1 AS row, "

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
    [SQL_DROP_EVENT] = "DELETE FROM events WHERE row = ?1",
    [SQL_DROP_PART] = "DELETE FROM parts WHERE row = ?1",
    [SQL_FORGET_OLD_IDS] = "DELETE FROM event_ids WHERE seen_at_ms < ?1",
    [SQL_OPEN_LEGS] = "SELECT leg FROM legs INDEXED BY legs_unsettled WHERE open <> 0 OR revision > settled",
    [SQL_PART_N] = "SELECT n FROM parts WHERE leg = ?1 AND part = ?2",
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
    [SQL_GET_VALUE] = "SELECT value, crc FROM meta WHERE key = ?1",
    [SQL_CALLLOG_OF_LEG] = "SELECT row, revision, open, body, crc FROM calllogs WHERE leg = ?1",
    [SQL_QUARANTINE_CALLLOG] =
        "INSERT INTO quarantine (source, leg, id, body, crc, found_at_ms)"
        " SELECT 'calllogs', leg, call_log_id, body, crc, " NOW_MS " FROM calllogs WHERE row = ?1",
    [SQL_DROP_CALLLOG] = "DELETE FROM calllogs WHERE row = ?1",
    [SQL_QUARANTINE_VALUE] =
        "INSERT INTO quarantine (source, id, body, crc, found_at_ms)"
        " SELECT 'meta', key, value, crc, " NOW_MS " FROM meta WHERE key = ?1",
    [SQL_DROP_VALUE] = "DELETE FROM meta WHERE key = ?1",
    [SQL_PUT_VALUE] = ("INSERT INTO meta (key, value, crc) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc"),
};
_Static_assert(sizeof statement_sql / sizeof *statement_sql == SQL_COUNT, "SQL for each statement");
