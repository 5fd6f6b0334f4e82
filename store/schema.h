/* The layout of the store's file and its versions. Private to store/.
 *
 *   events, parts -> outbox (a row for each fact that sinks get) -> outbox_tries (of rows that failed)
 *   events, parts, calllogs -> legs (how a leg stands, so that nobody counts facts at a start)
 *
 * Everything of version 2 carries record_crc() over all columns before `crc`, in the order of the table. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>

enum { STORE_SCHEMA_VERSION = 2 };

/* Milliseconds since the epoch, in SQL. */
#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

/* The states of a row stand in one column a sink, named as in sink_names. */
#define OUTBOX_COLUMNS "row, leg, kind, id, n, fact, at_ms, body, mongo, redis_queue, redis_alerts"
#define OUTBOX_CRC     "record_crc(" OUTBOX_COLUMNS ")"
#define TRIES_COLUMNS  "row, sink, tries, reason, at_ms"
#define TRIES_CRC      "record_crc(" TRIES_COLUMNS ")"
#define LEG_COLUMNS    "leg, revision, settled, open, ended, ended_at_ms, gone"
#define LEG_CRC        "record_crc(" LEG_COLUMNS ")"

/* The version of a file; 0: it is empty; -1: it cannot be read. */
int schema_version(sqlite3 *db);
/* Lays out an empty file, or brings an older one up to date, in one transaction. 0, or -1 (sqlite3_errmsg). */
int schema_bring_up(sqlite3 *db, int version);
/* Every event of a leg and every part that has no row in the outbox gets one, in the order in which they stand.
 * Within the caller's transaction. SQLITE_OK or an error. */
int schema_append_missing(sqlite3 *db);
/* After rows were saved from a damaged file: how each leg stands, from its facts, its CallLog and what is kept of
 * it. SQLITE_OK or an error. */
int schema_count_legs(sqlite3 *db);
/* The SQL function record_crc() for a connection: SQLITE_OK or an error. */
int schema_functions(sqlite3 *db);

#endif
