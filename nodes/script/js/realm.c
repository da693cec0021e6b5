/* SPDX-License-Identifier: MIT */
/* A realm: a global object, with prelude.js evaluated in it and everything shared frozen. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"
#include "nodes/script/js/prelude.inc"

_Thread_local struct js_shard *js_current;

JSValueRef js_evaluate(JSContextRef ctx, const char *code, const char *url,
                       JSValueRef *ret_exception)
{
    JSStringRef text = JSStringCreateWithUTF8CString(code);
    JSStringRef name = JSStringCreateWithUTF8CString(url);
    JSValueRef result = JSEvaluateScript(ctx, text, NULL, name, 1, ret_exception);
    JSStringRelease(name);
    JSStringRelease(text);
    return result;
}

void js_value_text(JSContextRef ctx, JSValueRef value, char *buf, size_t buf_size)
{
    sl_assert(buf_size > 0);
    buf[0] = '\0';
    JSStringRef text = value != NULL ? JSValueToStringCopy(ctx, value, NULL) : NULL;
    if (text == NULL) return;
    (void)JSStringGetUTF8CString(text, buf, buf_size);
    JSStringRelease(text);
}

JSObjectRef js_get_object(JSContextRef ctx, JSObjectRef object, const char *name)
{
    JSStringRef key = JSStringCreateWithUTF8CString(name);
    JSValueRef value = JSObjectGetProperty(ctx, object, key, NULL);
    JSStringRelease(key);
    return value != NULL && JSValueIsObject(ctx, value) ? JSValueToObject(ctx, value, NULL) : NULL;
}

static JSObjectRef keep_function(JSContextRef ctx, JSObjectRef prelude, const char *name)
{
    JSObjectRef function = js_get_object(ctx, prelude, name);
    sl_assert(function != NULL);
    JSValueProtect(ctx, function);
    return function;
}

static void realm_connect(struct js_realm *realm, JSObjectRef prelude)
{
    realm->enter = keep_function(realm->ctx, prelude, "enter");
    realm->probe = keep_function(realm->ctx, prelude, "probe");
    realm->shrink = keep_function(realm->ctx, prelude, "shrink");
    realm->add_shape = keep_function(realm->ctx, prelude, "addShape");
    realm->set_input = keep_function(realm->ctx, prelude, "setInput");
    realm->set_size_max = keep_function(realm->ctx, prelude, "setSizeMax");
    realm->keep = keep_function(realm->ctx, prelude, "keep");
}

static JSValueRef prelude_run(JSContextRef ctx, JSValueRef *exception)
{
    JSValueRef prelude = js_evaluate(ctx, prelude_text, "sluice:prelude", exception);
    if (prelude == NULL) return NULL;
    JSValueRef web = js_evaluate(ctx, web_text, "sluice:web", exception);
    if (web == NULL) return NULL;
    JSValueRef url = js_evaluate(ctx, url_text, "sluice:url", exception);
    if (url == NULL) return NULL;
    JSValueRef args[3] = {js_host_new(ctx), web, url};
    JSObjectRef function = JSValueToObject(ctx, prelude, exception);
    return JSObjectCallAsFunction(ctx, function, NULL, 3, args, exception);
}

/* `eval` and `new Function` throw: exported by the library, in none of its headers. */
void JSGlobalContextSetEvalEnabled(JSGlobalContextRef ctx, bool enabled, JSStringRef message);

static void eval_disable(JSGlobalContextRef ctx)
{
    JSStringRef message = JSStringCreateWithUTF8CString(
        "strings are evaluated as code only where the node has \"eval: true\"");
    JSGlobalContextSetEvalEnabled(ctx, false, message);
    JSStringRelease(message);
}

int js_realm_new(struct js_shard *shard, bool allow_eval, struct sl_diag *reterr)
{
    sl_assert(shard != NULL);
    sl_assert(shard->realm == NULL);
    struct js_realm *realm = calloc(1, sizeof(*realm));
    if (realm == NULL) return -ENOMEM;
    realm->ctx = JSGlobalContextCreateInGroup(shard->group, NULL);
    realm->input_generation = shard->input.generation - 1;
    if (!allow_eval) eval_disable(realm->ctx);
    struct js_realm *entered = shard->realm_entered;
    shard->realm_entered = realm;
    JSValueRef exception = NULL;
    JSValueRef prelude = prelude_run(realm->ctx, &exception);
    shard->realm_entered = entered;
    if (prelude == NULL) {
        char text[SL_DIAG_TEXT_SIZE / 2];
        js_value_text(realm->ctx, exception, text, sizeof(text));
        (void)sl_diag_set(reterr, "script_engine", (struct sl_pos){0, 0},
                          "this JavaScriptCore cannot be used: %s", text);
        JSGlobalContextRelease(realm->ctx);
        free(realm);
        return -EINVAL;
    }
    realm_connect(realm, JSValueToObject(realm->ctx, prelude, NULL));
    shard->realm = realm;
    return 0;
}

struct js_realm *js_realm_free(struct js_realm *realm)
{
    if (realm == NULL) return NULL;
    js_shapes_fini(realm);
    JSObjectRef functions[] = {realm->enter,     realm->probe,     realm->shrink,
                               realm->add_shape, realm->set_input, realm->set_size_max,
                               realm->keep};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        JSValueUnprotect(realm->ctx, functions[i]);
    }
    JSGlobalContextRelease(realm->ctx);
    free(realm);
    return NULL;
}
