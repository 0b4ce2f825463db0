/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's certificate authorities, looked up when a chain needs one. OpenSSL's own way parses the whole bundle, over
 * a hundred certificates and about a megabyte, for every context, also when the chain ends at an authority of the
 * caller's. Here the hashed directory is asked first and the bundle is read only when that does not know the issuer.
 */
#define _GNU_SOURCE /* secure_getenv */
#include "COpenSSL.h"

#include <stdlib.h>
#include <unistd.h>

static X509_LOOKUP_METHOD *system_method;
static CRYPTO_ONCE system_method_once = CRYPTO_ONCE_STATIC_INIT;

/* What is known of a store: nothing, or its look-up in the directory. The bundle is read once, into the store itself. */
typedef struct system_trust {
  X509_LOOKUP *directory;
  int bundle_read;
} system_trust;

static int system_new(X509_LOOKUP *lookup) {
  system_trust *trust = OPENSSL_zalloc(sizeof *trust);
  return trust && X509_LOOKUP_set_method_data(lookup, trust);
}

static void system_free(X509_LOOKUP *lookup) {
  OPENSSL_free(X509_LOOKUP_get_method_data(lookup));
}

/*
 * Where other distributions keep the bundle. A library that was carried there together with its OpenSSL, as in a Python
 * wheel, looks only where the distribution that it was built on has it.
 */
static const char *const bundles_elsewhere[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static void load_bundle(X509_LOOKUP *lookup) {
  if (X509_LOOKUP_load_file(lookup, NULL, X509_FILETYPE_DEFAULT) > 0) return;
  if (secure_getenv(X509_get_default_cert_file_env()) || secure_getenv(X509_get_default_cert_dir_env())) return;
  if (access(X509_get_default_cert_dir(), F_OK) == 0) return;
  for (size_t i = 0; i < sizeof bundles_elsewhere / sizeof *bundles_elsewhere; i++)
    if (X509_LOOKUP_load_file(lookup, bundles_elsewhere[i], X509_FILETYPE_PEM) > 0) return;
}

/* OpenSSL 4 deprecates looking at a store without a copy of all it has; here the store is locked meanwhile. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static X509 *find(X509_STORE *store, X509_LOOKUP_TYPE type, const X509_NAME *name) {
  if (!X509_STORE_lock(store)) return NULL;
  X509_OBJECT *found = X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), type, name);
  X509 *certificate = found ? X509_OBJECT_get0_X509(found) : NULL;
  X509_STORE_unlock(store);
  return certificate;
}
#pragma GCC diagnostic pop

static int system_by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name, X509_OBJECT *result) {
  system_trust *trust = X509_LOOKUP_get_method_data(lookup);
  X509_STORE *store = X509_LOOKUP_get_store(lookup);
  if (type != X509_LU_X509) return 0;
  ERR_set_mark();
  if (!trust->directory) {
    trust->directory = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
    if (trust->directory) X509_LOOKUP_add_dir(trust->directory, NULL, X509_FILETYPE_DEFAULT);
  }
  int found = trust->directory && X509_LOOKUP_by_subject(trust->directory, type, name, result) > 0;
  if (!found && !trust->bundle_read) {
    trust->bundle_read = 1;
    X509_LOOKUP *bundle = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (bundle) load_bundle(bundle);
    X509 *certificate = find(store, type, name);
    found = certificate && X509_OBJECT_set1_X509(result, certificate);
    /* The result is borrowed from the store, as every look-up's is. */
    if (found) X509_free(certificate);
  }
  /* A missing file or directory is no error: there may be one of them only. */
  ERR_pop_to_mark();
  return found;
}

static void make_system_method(void) {
  X509_LOOKUP_METHOD *method = X509_LOOKUP_meth_new("rstream system trust");
  if (!method) return;
  X509_LOOKUP_meth_set_new_item(method, system_new);
  X509_LOOKUP_meth_set_free(method, system_free);
  X509_LOOKUP_meth_set_get_by_subject(method, system_by_subject);
  system_method = method;
}

int rstream_tls_trust_system(SSL_CTX *context) {
  if (!CRYPTO_THREAD_run_once(&system_method_once, make_system_method) || !system_method) return 0;
  return X509_STORE_add_lookup(SSL_CTX_get_cert_store(context), system_method) != NULL;
}
