/* SPDX-License-Identifier: Apache-2.0 */
#include "CPKCS11.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

CK_FUNCTION_LIST *rstream_pkcs11_load(const char *path, CK_RV *code, char *reason, size_t capacity) {
  CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
  CK_C_GetFunctionList get = NULL;
  CK_FUNCTION_LIST *functions = NULL;
  *code = CKR_OK;
  if (capacity > 0) reason[0] = 0;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
  if (!symbol) {
    const char *why = dlerror();
    snprintf(reason, capacity, "%s", why ? why : "it cannot be loaded");
    return NULL;
  }
  memcpy(&get, &symbol, sizeof get);
  *code = get(&functions);
  if (*code != CKR_OK || !functions) return NULL;
  *code = functions->C_Initialize(&arguments);
  /* Whoever else uses the library in this process keeps it. */
  return *code == CKR_OK || *code == CKR_CRYPTOKI_ALREADY_INITIALIZED ? functions : NULL;
}
