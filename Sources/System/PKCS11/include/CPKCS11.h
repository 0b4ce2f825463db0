/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#11, the interface of the libraries that come with cryptographic tokens: types only, they are loaded at run time. */
#ifndef CPKCS11_H
#define CPKCS11_H

#include <p11-kit-1/p11-kit/pkcs11.h>

/* Loads a library and starts it, once for the process: it is never unloaded. Returns what it can do, or NULL; then
 * `code` tells what it has answered, and `reason` is the dynamic linker's words when it could not even be loaded. */
CK_FUNCTION_LIST *rstream_pkcs11_load(const char *path, CK_RV *code, char *reason, size_t capacity);

#endif
