/* SPDX-License-Identifier: MIT */
/* The native functions that the prelude gets: log, randomness, UTF-8, result buffers. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/js/js_private.h"

static JSValueRef host_log(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                           size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    if (count < 2) return JSValueMakeUndefined(ctx);
    double level = JSValueToNumber(ctx, args[0], exception);
    char line[SL_SCRIPT_LOG_SIZE_MAX];
    js_value_text(ctx, args[1], line, sizeof(line));
    sl_script_log(level >= 0 && level <= SL_LOG_ERROR ? (enum sl_log_level)level : SL_LOG_INFO,
                  js_current->node, line, strlen(line));
    return JSValueMakeUndefined(ctx);
}

/* The bytes that a Uint8Array shows. The pointer that the library gives is that of its buffer. */
static struct sl_slice view_bytes(JSContextRef ctx, JSValueRef value)
{
    if (JSValueGetTypedArrayType(ctx, value, NULL) != kJSTypedArrayTypeUint8Array) {
        return sl_slice_make(NULL, 0);
    }
    JSObjectRef object = JSValueToObject(ctx, value, NULL);
    const uint8_t *data = JSObjectGetTypedArrayBytesPtr(ctx, object, NULL);
    if (data == NULL) return sl_slice_make(NULL, 0);
    return sl_slice_make(data + JSObjectGetTypedArrayByteOffset(ctx, object, NULL),
                         JSObjectGetTypedArrayByteLength(ctx, object, NULL));
}

static JSValueRef host_random(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                              size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    (void)exception;
    struct sl_slice view = count > 0 ? view_bytes(ctx, args[0]) : sl_slice_make(NULL, 0);
    if (view.size > 0) {
        js_current->clock->random(js_current->clock, (void *)(uintptr_t)view.data, view.size);
    }
    return JSValueMakeUndefined(ctx);
}

/* Memory of a typed array made here goes back when the collector drops it. */
static void bytes_drop(void *bytes, void *context)
{
    (void)context;
    free(bytes);
}

static JSValueRef host_utf8_encode(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                                   size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    JSStringRef string = count > 0 ? JSValueToStringCopy(ctx, args[0], exception) : NULL;
    if (string == NULL) return JSValueMakeUndefined(ctx);
    size_t units = JSStringGetLength(string);
    uint8_t *bytes = malloc(units * 3 + 1);
    if (bytes == NULL) {
        JSStringRelease(string);
        return JSValueMakeUndefined(ctx);
    }
    size_t size = js_utf16_to_utf8(JSStringGetCharactersPtr(string), units, bytes);
    JSStringRelease(string);
    return JSObjectMakeTypedArrayWithBytesNoCopy(ctx, kJSTypedArrayTypeUint8Array, bytes, size,
                                                 bytes_drop, NULL, exception);
}

static JSValueRef host_utf8_decode(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                                   size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    (void)exception;
    struct sl_slice view = count > 0 ? view_bytes(ctx, args[0]) : sl_slice_make(NULL, 0);
    bool fatal = count > 1 && JSValueToBoolean(ctx, args[1]);
    uint16_t *units = malloc((view.size + 1) * sizeof(*units));
    if (units == NULL) return JSValueMakeNull(ctx);
    bool valid = true;
    size_t used = js_utf8_to_utf16(view, units, &valid);
    JSValueRef result = JSValueMakeNull(ctx);
    if (valid || !fatal) {
        JSStringRef string = JSStringCreateWithCharacters(units, used);
        result = JSValueMakeString(ctx, string);
        JSStringRelease(string);
    }
    free(units);
    return result;
}

/* The prelude tells where its result arrays are, whenever they move. */
static JSValueRef host_buffers(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                               size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    sl_assert(count == 3);
    struct js_realm *realm = js_current->realm_entered;
    sl_assert(realm != NULL);
    JSObjectRef words = JSValueToObject(ctx, args[0], exception);
    JSObjectRef floats = JSValueToObject(ctx, args[1], exception);
    JSObjectRef bytes = JSValueToObject(ctx, args[2], exception);
    realm->words = JSObjectGetTypedArrayBytesPtr(ctx, words, exception);
    realm->floats = JSObjectGetTypedArrayBytesPtr(ctx, floats, exception);
    realm->bytes = JSObjectGetTypedArrayBytesPtr(ctx, bytes, exception);
    realm->words_count = JSObjectGetTypedArrayLength(ctx, words, exception);
    realm->floats_count = JSObjectGetTypedArrayLength(ctx, floats, exception);
    realm->bytes_size = JSObjectGetTypedArrayLength(ctx, bytes, exception);
    return JSValueMakeUndefined(ctx);
}

/* shape(names, found): see js_shape_add_out. */
static JSValueRef host_shape(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,
                             size_t count, const JSValueRef args[], JSValueRef *exception)
{
    (void)function;
    (void)this_object;
    sl_assert(count == 2);
    sl_assert(js_current->realm_entered != NULL);
    return JSValueMakeBoolean(ctx, js_shape_add_out(js_current->realm_entered,
                                                    JSValueToObject(ctx, args[0], exception),
                                                    JSValueToObject(ctx, args[1], exception)));
}

JSObjectRef js_host_new(JSContextRef ctx)
{
    static const struct {
        const char *name;
        JSObjectCallAsFunctionCallback function;
    } table[] = {
        {"log", host_log},
        {"random", host_random},
        {"utf8Encode", host_utf8_encode},
        {"utf8Decode", host_utf8_decode},
        {"buffers", host_buffers},
        {"shape", host_shape},
    };
    JSObjectRef host = JSObjectMake(ctx, NULL, NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        JSStringRef name = JSStringCreateWithUTF8CString(table[i].name);
        JSObjectRef function = JSObjectMakeFunctionWithCallback(ctx, name, table[i].function);
        JSObjectSetProperty(ctx, host, name, function, kJSPropertyAttributeNone, NULL);
        JSStringRelease(name);
    }
    return host;
}
