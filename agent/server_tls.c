#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "agent/server_internal.h"

static void reason(char *why, size_t why_bytes, const char *file) {
  unsigned long code = ERR_peek_error();
  const char *words = ERR_reason_error_string(code);

  if (ERR_GET_LIB(code) == ERR_LIB_SYS) words = strerror(ERR_GET_REASON(code));
  if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
    words = "holds nothing of that kind in PEM form";
  snprintf(why, why_bytes, "%s: %s", file, words ? words : "cannot be used");
  ERR_clear_error();
}

int tls_load_files(SSL_CTX *tls, const char *certificate, const char *private_key, char *why,
                   size_t why_bytes) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1) {
    reason(why, why_bytes, certificate);
    return -1;
  }
  /* A key of another kind than the certificate's is taken without a word, one of the same kind is not. */
  bool taken = SSL_CTX_use_PrivateKey_file(tls, private_key, SSL_FILETYPE_PEM) == 1;
  bool mismatch = taken ? SSL_CTX_check_private_key(tls) != 1
                        : ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509 &&
                              ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH;
  if (taken && !mismatch) return 0;
  reason(why, why_bytes, private_key);
  if (mismatch) snprintf(why, why_bytes, "%s: is not the key of %s", private_key, certificate);
  return -1;
}

/* In a context of its own: a live one must not end up with a certificate and another's key. */
int server_check_tls(const char *certificate, const char *private_key, char *why, size_t why_bytes) {
  SSL_CTX *scratch = SSL_CTX_new(TLS_server_method());
  if (!scratch) {
    reason(why, why_bytes, "TLS");
    return -1;
  }
  int result = tls_load_files(scratch, certificate, private_key, why, why_bytes);
  SSL_CTX_free(scratch);
  return result;
}

void tls_harden(SSL_CTX *tls) {
  SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
  SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS); /* 34 KiB less for each idle connection */
}

int tls_read_on(struct conn *c) {
  SSL *ssl = lws_get_ssl(c->wsi);
  if (!ssl) return 0;

  ERR_clear_error();
  int got = SSL_read(ssl, c->server->tls_buffer, TLS_BUFFER_BYTES);
  if (got > 0) return got;
  int error = SSL_get_error(ssl, got);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

void tls_goodbye(struct conn *c) {
  SSL *ssl = lws_get_ssl(c->wsi);
  if (!ssl || !SSL_is_init_finished(ssl)) return;
  ERR_clear_error();
  SSL_shutdown(ssl);
  ERR_clear_error();
}
