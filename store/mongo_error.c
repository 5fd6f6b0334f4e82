#include "store/mongo_error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Codes of the server's error_codes.yml. What is not here is SINK_RETRY. */
static const struct meaning {
  int32_t code;
  enum sink_result result;
  const char *kind;
} meanings[] = {
    {6, SINK_AWAY, "network"},       /* HostUnreachable */
    {7, SINK_AWAY, "network"},       /* HostNotFound */
    {9001, SINK_AWAY, "network"},    /* SocketException */
    {89, SINK_AWAY, "timeout"},      /* NetworkTimeout */
    {24, SINK_AWAY, "timeout"},      /* LockTimeout */
    {50, SINK_AWAY, "timeout"},      /* MaxTimeMSExpired */
    {202, SINK_AWAY, "timeout"},     /* NetworkInterfaceExceededTimeLimit */
    {262, SINK_AWAY, "timeout"},     /* ExceededTimeLimit */
    {11, SINK_AWAY, "auth"},         /* UserNotFound */
    {13, SINK_AWAY, "auth"},         /* Unauthorized */
    {18, SINK_AWAY, "auth"},         /* AuthenticationFailed */
    {391, SINK_AWAY, "auth"},        /* ReauthenticationRequired */
    {8000, SINK_AWAY, "auth"},       /* AtlasError: bad auth, over quota */
    {91, SINK_AWAY, "primary"},      /* ShutdownInProgress */
    {133, SINK_AWAY, "primary"},     /* FailedToSatisfyReadPreference */
    {189, SINK_AWAY, "primary"},     /* PrimarySteppedDown */
    {216, SINK_AWAY, "primary"},     /* ElectionInProgress */
    {10058, SINK_AWAY, "primary"},   /* LegacyNotPrimary */
    {10107, SINK_AWAY, "primary"},   /* NotWritablePrimary */
    {11600, SINK_AWAY, "primary"},   /* InterruptedAtShutdown */
    {11602, SINK_AWAY, "primary"},   /* InterruptedDueToReplStateChange */
    {13435, SINK_AWAY, "primary"},   /* NotPrimaryNoSecondaryOk */
    {13436, SINK_AWAY, "primary"},   /* NotPrimaryOrSecondary */
    {43, SINK_AWAY, "interrupted"},  /* CursorNotFound: killed, or its server restarted */
    {112, SINK_AWAY, "interrupted"}, /* WriteConflict */
    {175, SINK_AWAY, "interrupted"}, /* QueryPlanKilled */
    {237, SINK_AWAY, "interrupted"}, /* CursorKilled */
    {11601, SINK_AWAY, "interrupted"},
    {64, SINK_AWAY, "write_concern"},  /* WriteConcernFailed: the write may be there, it is repeated */
    {79, SINK_AWAY, "write_concern"},  /* UnknownReplWriteConcern */
    {100, SINK_AWAY, "write_concern"}, /* UnsatisfiableWriteConcern */
    {14031, SINK_AWAY, "disk"},        /* OutOfDiskSpace */
    {146, SINK_AWAY, "memory"},        /* ExceededMemoryLimit */
    {462, SINK_AWAY, "overload"},      /* IngressRequestRateLimitExceeded */
    {63, SINK_AWAY, "sharding"},       /* StaleShardVersion */
    {70, SINK_AWAY, "sharding"},       /* ShardNotFound */
    {150, SINK_AWAY, "sharding"},      /* StaleEpoch */
    {249, SINK_AWAY, "sharding"},      /* StaleDbVersion */
    {13388, SINK_AWAY, "sharding"},    /* StaleConfig */
    {10334, SINK_DEAD, "too_large"},   /* BSONObjectTooLarge */
    {17262, SINK_RETRY, "index"},      /* a text index that takes transcription.language for its own */
    {17280, SINK_DEAD, "too_large"},   /* KeyTooLong, before MongoDB 4.2 */
    {17419, SINK_DEAD, "too_large"},   /* the document after the update */
    {17420, SINK_DEAD, "too_large"},   /* the document to be inserted */
    {121, SINK_DEAD, "validation"},    /* DocumentValidationFailure */
    {15, SINK_DEAD, "invalid"},        /* Overflow: nested too deep */
    {28, SINK_DEAD, "invalid"},        /* PathNotViable: a text or null stands where a document must */
    {22, SINK_DEAD, "invalid"},        /* InvalidBSON */
    {52, SINK_DEAD, "invalid"},        /* DollarPrefixedFieldName */
    {57, SINK_DEAD, "invalid"},        /* DottedFieldName */
};

bool mongo_is_duplicate_key(int32_t code) {
  return code == 11000 || code == 11001 || code == 12582;
}

void mongo_copy_text(char *out, size_t out_bytes, const char *text) {
  size_t bytes = strlen(text);
  if (bytes >= out_bytes) {
    bytes = out_bytes - 1;
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80) bytes--;
  }
  memcpy(out, text, bytes);
  out[bytes] = '\0';
}

void mongo_outcome(struct sink_outcome *out, enum sink_result result, const char *kind, const char *reason) {
  memset(out, 0, sizeof *out);
  out->result = result;
  mongo_copy_text(out->kind, sizeof out->kind, kind);
  mongo_copy_text(out->reason, sizeof out->reason, reason);
}

void mongo_outcome_of_code(int32_t code, const char *message, struct sink_outcome *out) {
  char reason[600]; /* the driver's messages have up to 503 bytes */
  if (message == NULL || message[0] == '\0') message = "no message";
  snprintf(reason, sizeof reason, "%.500s (code %d)", message, (int)code);
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
    if (meanings[i].code != code) continue;
    mongo_outcome(out, meanings[i].result, meanings[i].kind, reason);
    return;
  }
  if (mongo_is_duplicate_key(code))
    mongo_outcome(out, SINK_RETRY, "duplicate", reason);
  else if (strcasestr(message, "document too large") != NULL ||
           strcasestr(message, "object to insert too large") != NULL)
    mongo_outcome(out, SINK_DEAD, "too_large", reason);
  else
    mongo_outcome(out, SINK_RETRY, "other", reason);
}

static const char *kind_of_client_error(const bson_error_t *error, bool late) {
  switch (error->domain) {
    case MONGOC_ERROR_STREAM:
      return late ? "timeout" : "network";
    case MONGOC_ERROR_SERVER_SELECTION:
      return "selection";
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
      return "auth";
    case MONGOC_ERROR_CLIENT:
      return error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? "auth" : "network";
    case MONGOC_ERROR_PROTOCOL:
      return error->code == MONGOC_ERROR_PROTOCOL_BAD_WIRE_VERSION ? "version" : "network";
    case MONGOC_ERROR_CURSOR:
      return "interrupted";
    default:
      return NULL;
  }
}

void mongo_outcome_of_error(const bson_error_t *error, const bson_t *reply, bool late,
                            struct sink_outcome *out) {
  const char *kind = kind_of_client_error(error, late);
  if (kind != NULL) {
    mongo_outcome(out, SINK_AWAY, kind, error->message);
    return;
  }
  mongo_outcome_of_code((int32_t)error->code, error->message, out);
  /* A code of a newer server that its driver may try again at once is not the row's fault either. */
  if (out->result == SINK_RETRY && reply != NULL &&
      (mongoc_error_has_label(reply, "RetryableWriteError") ||
       mongoc_error_has_label(reply, "SystemOverloadedError")))
    mongo_outcome(out, SINK_AWAY, "interrupted", error->message);
}
