/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys that live elsewhere: an OpenSSL provider whose keys consist of the public half and of somebody who signs.
 * The provider is loaded into a library context of its own, so that nobody else in the process meets it. A signature takes
 * its time: the handshake that needs it is an OpenSSL job, which is paused until the signature is there.
 */
#include <openssl/async.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>

#include "COpenSSL.h"

#define KEY_PARAM "rstream-external-key"

typedef enum key_kind { KEY_RSA, KEY_EC, KEY_ED25519 } key_kind;

typedef struct external_key {
  key_kind kind;
  EVP_PKEY *public_key;
  rstream_sign_begin begin;
  void *owner;
} external_key;

static OSSL_LIB_CTX *library;
static CRYPTO_ONCE library_once = CRYPTO_ONCE_STATIC_INIT;

static const char *const key_names[] = {"RSA", "EC", "ED25519"};
static const char *const signature_names[] = {"RSA", "ECDSA", "ED25519"};

/* Keys. */

static external_key *key_new(key_kind kind) {
  external_key *key = OPENSSL_zalloc(sizeof *key);
  if (key) key->kind = kind;
  return key;
}

static void *rsa_new(void *provider) {
  (void)provider;
  return key_new(KEY_RSA);
}

static void *ec_new(void *provider) {
  (void)provider;
  return key_new(KEY_EC);
}

static void *ed25519_new(void *provider) {
  (void)provider;
  return key_new(KEY_ED25519);
}

static void key_free(void *data) {
  external_key *key = data;
  if (!key) return;
  EVP_PKEY_free(key->public_key);
  OPENSSL_free(key);
}

static int key_has(const void *data, int selection) {
  const external_key *key = data;
  if (!key || !key->public_key) return 0;
  return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->begin;
}

static int key_match(const void *one, const void *other, int selection) {
  (void)selection;
  const external_key *a = one, *b = other;
  return a && b && a->public_key && b->public_key && EVP_PKEY_eq(a->public_key, b->public_key) == 1;
}

/* Another provider's public key, to be compared with. */
static int import_public(external_key *key, const OSSL_PARAM params[]) {
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, key_names[key->kind], "provider=default");
  int done = context && EVP_PKEY_fromdata_init(context) == 1 &&
             EVP_PKEY_fromdata(context, &key->public_key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;
  EVP_PKEY_CTX_free(context);
  return done;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
  (void)selection;
  external_key *key = data;
  const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, KEY_PARAM);
  if (!param) return import_public(key, params);
  const void *pointer = NULL;
  size_t length = 0;
  if (!OSSL_PARAM_get_octet_ptr(param, &pointer, &length) || length != sizeof *key) return 0;
  const external_key *given = pointer;
  if (!EVP_PKEY_up_ref(given->public_key)) return 0;
  key->public_key = given->public_key;
  key->begin = given->begin;
  key->owner = given->owner;
  return 1;
}

static const OSSL_PARAM *key_import_types(int selection) {
  (void)selection;
  static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(KEY_PARAM, NULL, 0), OSSL_PARAM_END};
  return types;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *take, void *argument) {
  const external_key *key = data;
  OSSL_PARAM *params = NULL;
  if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) return 0;
  if (EVP_PKEY_todata(key->public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1) return 0;
  int done = take(params, argument);
  OSSL_PARAM_free(params);
  return done;
}

static const OSSL_PARAM *key_export_types(int selection) {
  (void)selection;
  static const OSSL_PARAM types[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                     OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                     OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                     OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};
  return types;
}

static int key_get_params(void *data, OSSL_PARAM params[]) {
  const external_key *key = data;
  return key && key->public_key && EVP_PKEY_get_params(key->public_key, params) == 1;
}

static const OSSL_PARAM *key_gettable_params(void *provider) {
  (void)provider;
  static const OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                                      OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                                      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                                      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
                                      OSSL_PARAM_END};
  return params;
}

static const char *rsa_operation(int operation) {
  return operation == OSSL_OP_SIGNATURE ? signature_names[KEY_RSA] : NULL;
}

static const char *ec_operation(int operation) {
  return operation == OSSL_OP_SIGNATURE ? signature_names[KEY_EC] : NULL;
}

static const char *ed25519_operation(int operation) {
  return operation == OSSL_OP_SIGNATURE ? signature_names[KEY_ED25519] : NULL;
}

#define FUNCTION(number, function) \
  { number, (void (*)(void))function }
#define KEY_FUNCTIONS(name)                                               \
  static const OSSL_DISPATCH name##_key_functions[] = {                   \
      FUNCTION(OSSL_FUNC_KEYMGMT_NEW, name##_new),                        \
      FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),                         \
      FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                           \
      FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                       \
      FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                     \
      FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),         \
      FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                     \
      FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),         \
      FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),             \
      FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),   \
      FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, name##_operation), \
      {0, NULL}}

KEY_FUNCTIONS(rsa);
KEY_FUNCTIONS(ec);
KEY_FUNCTIONS(ed25519);

/* Signatures. */

typedef struct signature_context {
  const external_key *key;
  char digest[16];
  int uses_pss;
} signature_context;

static void *signature_new(void *provider, const char *properties) {
  (void)provider;
  (void)properties;
  return OPENSSL_zalloc(sizeof(signature_context));
}

static void signature_free(void *data) {
  OPENSSL_free(data);
}

static int signature_set_params(void *data, const OSSL_PARAM params[]) {
  signature_context *context = data;
  const OSSL_PARAM *param = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
  int mode = 0;
  if (!param) return 1;
  if (param->data_type == OSSL_PARAM_UTF8_STRING) {
    context->uses_pss = param->data && strcmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
    return 1;
  }
  if (!OSSL_PARAM_get_int(param, &mode)) return 0;
  context->uses_pss = mode == RSA_PKCS1_PSS_PADDING;
  return 1;
}

static const OSSL_PARAM *signature_settable_params(void *data, void *provider) {
  (void)data;
  (void)provider;
  static const OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
                                      OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL), OSSL_PARAM_END};
  return params;
}

static int signature_sign_init(void *data, const char *digest, void *key, const OSSL_PARAM params[]) {
  signature_context *context = data;
  context->key = key;
  context->digest[0] = 0;
  if (digest) OPENSSL_strlcpy(context->digest, digest, sizeof context->digest);
  return signature_set_params(data, params);
}

/* The name that TLS gives to what is asked for; NULL when it has none. */
static const char *algorithm(const signature_context *context) {
  static const char *const names[][3] = {
      {"rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512"},
      {"rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"},
      {"ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"},
  };
  if (context->key->kind == KEY_ED25519) return "ed25519";
  const char *const *row = context->key->kind == KEY_EC ? names[2] : names[context->uses_pss ? 1 : 0];
  if (OPENSSL_strcasecmp(context->digest, "SHA2-256") == 0 || OPENSSL_strcasecmp(context->digest, "SHA256") == 0) {
    return row[0];
  }
  if (OPENSSL_strcasecmp(context->digest, "SHA2-384") == 0 || OPENSSL_strcasecmp(context->digest, "SHA384") == 0) {
    return row[1];
  }
  if (OPENSSL_strcasecmp(context->digest, "SHA2-512") == 0 || OPENSSL_strcasecmp(context->digest, "SHA512") == 0) {
    return row[2];
  }
  return NULL;
}

static int signature_sign(void *data, unsigned char *signature, size_t *length, size_t capacity,
                          const unsigned char *message, size_t message_length) {
  const signature_context *context = data;
  size_t size = (size_t)EVP_PKEY_get_size(context->key->public_key);
  if (!signature) {
    *length = size;
    return 1;
  }
  const char *name = algorithm(context);
  if (!name || !context->key->begin || !ASYNC_get_current_job()) return 0;
  rstream_signing signing = {.algorithm = name,
                             .message = message,
                             .message_length = message_length,
                             .signature = signature,
                             .capacity = capacity < size ? capacity : size};
  context->key->begin(context->key->owner, &signing);
  while (signing.state == 0) {
    if (!ASYNC_pause_job()) return 0;
  }
  *length = signing.signature_length;
  return signing.state > 0;
}

static const OSSL_DISPATCH signature_functions[] = {
    FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_sign_init),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_sign),
    FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set_params),
    FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable_params),
    {0, NULL}};

/* The provider. */

static const OSSL_ALGORITHM keys[] = {{"RSA:rsaEncryption", "provider=rstream", rsa_key_functions, NULL},
                                      {"EC:id-ecPublicKey", "provider=rstream", ec_key_functions, NULL},
                                      {"ED25519", "provider=rstream", ed25519_key_functions, NULL},
                                      {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signatures[] = {{"RSA", "provider=rstream", signature_functions, NULL},
                                            {"ECDSA", "provider=rstream", signature_functions, NULL},
                                            {"ED25519", "provider=rstream", signature_functions, NULL},
                                            {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache) {
  (void)provider;
  *no_cache = 0;
  if (operation == OSSL_OP_KEYMGMT) return keys;
  return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), {0, NULL}};

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **context) {
  (void)handle;
  (void)in;
  *out = provider_functions;
  *context = NULL;
  return 1;
}

static void make_library(void) {
  OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
  if (!made) return;
  if (OSSL_PROVIDER_load(made, "default") && OSSL_PROVIDER_add_builtin(made, "rstream", provider_init) &&
      OSSL_PROVIDER_load(made, "rstream") && EVP_set_default_properties(made, "?provider=default")) {
    library = made;
  } else {
    OSSL_LIB_CTX_free(made);
  }
}

OSSL_LIB_CTX *rstream_external_library(void) {
  if (!CRYPTO_THREAD_run_once(&library_once, make_library)) return NULL;
  return ASYNC_is_capable() ? library : NULL;
}

EVP_PKEY *rstream_external_key_new(EVP_PKEY *public_key, rstream_sign_begin begin, void *owner) {
  key_kind kind = EVP_PKEY_is_a(public_key, "RSA") ? KEY_RSA : EVP_PKEY_is_a(public_key, "EC") ? KEY_EC : KEY_ED25519;
  if (kind == KEY_ED25519 && !EVP_PKEY_is_a(public_key, "ED25519")) return NULL;
  external_key key = {kind, public_key, begin, owner};
  void *pointer = &key;
  OSSL_PARAM params[] = {OSSL_PARAM_octet_ptr(KEY_PARAM, &pointer, sizeof key), OSSL_PARAM_END};
  params[0].data_size = sizeof key;
  EVP_PKEY *made = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(rstream_external_library(), key_names[kind], "provider=rstream");
  if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, params) != 1) {
    made = NULL;
  }
  EVP_PKEY_CTX_free(context);
  return made;
}

int rstream_tls_sign_elsewhere(SSL_CTX *context, const char *algorithms) {
  SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
  return (int)SSL_CTX_set1_client_sigalgs_list(context, algorithms);
}

void rstream_tls_signed(SSL *ssl) {
  SSL_clear_mode(ssl, SSL_MODE_ASYNC);
}

int rstream_verify(EVP_PKEY *key, const char *digest, int uses_pss, const uint8_t *signature, size_t signature_length,
                   const uint8_t *message, size_t message_length) {
  EVP_PKEY_CTX *parameters = NULL;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int good = context && EVP_DigestVerifyInit_ex(context, &parameters, digest, NULL, NULL, key, NULL) == 1;
  if (good && uses_pss) {
    good = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  good = good && EVP_DigestVerify(context, signature, signature_length, message, message_length) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return good;
}
