/* SPDX-License-Identifier: MIT */
/*
 * Finding names. A field name is found by a hash of its length and four of its letters in a table
 * without collisions (tests/codecs/http1 checks that), then compared once.
 */
#include "codecs/http1/names.h"

#include <string.h>

#include "core/base/assertion.h"

enum { NAME_SIZE = 32, SLOTS_COUNT = 512 };

struct name {
    char lower[NAME_SIZE]; /* padded with zeros */
    uint8_t size;
};

static const struct name header_lower[SL_HTTP1_HEADERS_COUNT] = {
    [SL_HTTP1_HEADER_HOST] = {"host", 4},
    [SL_HTTP1_HEADER_CONTENT_LENGTH] = {"content-length", 14},
    [SL_HTTP1_HEADER_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [SL_HTTP1_HEADER_CONNECTION] = {"connection", 10},
    [SL_HTTP1_HEADER_EXPECT] = {"expect", 6},
    [SL_HTTP1_HEADER_UPGRADE] = {"upgrade", 7},
    [SL_HTTP1_HEADER_CONTENT_TYPE] = {"content-type", 12},
    [SL_HTTP1_HEADER_CONTENT_ENCODING] = {"content-encoding", 16},
    [SL_HTTP1_HEADER_X_REQUEST_ID] = {"x-request-id", 12},
    [SL_HTTP1_HEADER_X_FORWARDED_FOR] = {"x-forwarded-for", 15},
    [SL_HTTP1_HEADER_X_FORWARDED_PROTO] = {"x-forwarded-proto", 17},
    [SL_HTTP1_HEADER_X_FORWARDED_HOST] = {"x-forwarded-host", 16},
    [SL_HTTP1_HEADER_DATE] = {"date", 4},
    [SL_HTTP1_HEADER_SERVER] = {"server", 6},
    [SL_HTTP1_HEADER_KEEP_ALIVE] = {"keep-alive", 10},
    [SL_HTTP1_HEADER_TRAILER] = {"trailer", 7},
    [SL_HTTP1_HEADER_TE] = {"te", 2},
    [SL_HTTP1_HEADER_ACCEPT] = {"accept", 6},
    [SL_HTTP1_HEADER_ACCEPT_ENCODING] = {"accept-encoding", 15},
    [SL_HTTP1_HEADER_ACCEPT_LANGUAGE] = {"accept-language", 15},
    [SL_HTTP1_HEADER_ACCEPT_CHARSET] = {"accept-charset", 14},
    [SL_HTTP1_HEADER_ACCEPT_RANGES] = {"accept-ranges", 13},
    [SL_HTTP1_HEADER_USER_AGENT] = {"user-agent", 10},
    [SL_HTTP1_HEADER_COOKIE] = {"cookie", 6},
    [SL_HTTP1_HEADER_SET_COOKIE] = {"set-cookie", 10},
    [SL_HTTP1_HEADER_AUTHORIZATION] = {"authorization", 13},
    [SL_HTTP1_HEADER_CACHE_CONTROL] = {"cache-control", 13},
    [SL_HTTP1_HEADER_CONTENT_LANGUAGE] = {"content-language", 16},
    [SL_HTTP1_HEADER_CONTENT_DISPOSITION] = {"content-disposition", 19},
    [SL_HTTP1_HEADER_CONTENT_LOCATION] = {"content-location", 16},
    [SL_HTTP1_HEADER_CONTENT_RANGE] = {"content-range", 13},
    [SL_HTTP1_HEADER_CONTENT_SECURITY_POLICY] = {"content-security-policy", 23},
    [SL_HTTP1_HEADER_ETAG] = {"etag", 4},
    [SL_HTTP1_HEADER_EXPIRES] = {"expires", 7},
    [SL_HTTP1_HEADER_LAST_MODIFIED] = {"last-modified", 13},
    [SL_HTTP1_HEADER_IF_MATCH] = {"if-match", 8},
    [SL_HTTP1_HEADER_IF_NONE_MATCH] = {"if-none-match", 13},
    [SL_HTTP1_HEADER_IF_MODIFIED_SINCE] = {"if-modified-since", 17},
    [SL_HTTP1_HEADER_IF_UNMODIFIED_SINCE] = {"if-unmodified-since", 19},
    [SL_HTTP1_HEADER_IF_RANGE] = {"if-range", 8},
    [SL_HTTP1_HEADER_RANGE] = {"range", 5},
    [SL_HTTP1_HEADER_LOCATION] = {"location", 8},
    [SL_HTTP1_HEADER_ORIGIN] = {"origin", 6},
    [SL_HTTP1_HEADER_REFERER] = {"referer", 7},
    [SL_HTTP1_HEADER_VARY] = {"vary", 4},
    [SL_HTTP1_HEADER_VIA] = {"via", 3},
    [SL_HTTP1_HEADER_AGE] = {"age", 3},
    [SL_HTTP1_HEADER_ALLOW] = {"allow", 5},
    [SL_HTTP1_HEADER_LINK] = {"link", 4},
    [SL_HTTP1_HEADER_PRAGMA] = {"pragma", 6},
    [SL_HTTP1_HEADER_RETRY_AFTER] = {"retry-after", 11},
    [SL_HTTP1_HEADER_WARNING] = {"warning", 7},
    [SL_HTTP1_HEADER_PROXY_AUTHORIZATION] = {"proxy-authorization", 19},
    [SL_HTTP1_HEADER_PROXY_AUTHENTICATE] = {"proxy-authenticate", 18},
    [SL_HTTP1_HEADER_PROXY_CONNECTION] = {"proxy-connection", 16},
    [SL_HTTP1_HEADER_WWW_AUTHENTICATE] = {"www-authenticate", 16},
    [SL_HTTP1_HEADER_X_REAL_IP] = {"x-real-ip", 9},
    [SL_HTTP1_HEADER_FORWARDED] = {"forwarded", 9},
    [SL_HTTP1_HEADER_TRACEPARENT] = {"traceparent", 11},
    [SL_HTTP1_HEADER_TRACESTATE] = {"tracestate", 10},
    [SL_HTTP1_HEADER_BAGGAGE] = {"baggage", 7},
    [SL_HTTP1_HEADER_PRIORITY] = {"priority", 8},
    [SL_HTTP1_HEADER_DNT] = {"dnt", 3},
    [SL_HTTP1_HEADER_MAX_FORWARDS] = {"max-forwards", 12},
    [SL_HTTP1_HEADER_FROM] = {"from", 4},
    [SL_HTTP1_HEADER_ALT_SVC] = {"alt-svc", 7},
    [SL_HTTP1_HEADER_IDEMPOTENCY_KEY] = {"idempotency-key", 15},
    [SL_HTTP1_HEADER_SEC_FETCH_DEST] = {"sec-fetch-dest", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_MODE] = {"sec-fetch-mode", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_SITE] = {"sec-fetch-site", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_USER] = {"sec-fetch-user", 14},
    [SL_HTTP1_HEADER_SEC_CH_UA] = {"sec-ch-ua", 9},
    [SL_HTTP1_HEADER_SEC_CH_UA_MOBILE] = {"sec-ch-ua-mobile", 16},
    [SL_HTTP1_HEADER_SEC_CH_UA_PLATFORM] = {"sec-ch-ua-platform", 18},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_KEY] = {"sec-websocket-key", 17},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_VERSION] = {"sec-websocket-version", 21},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_PROTOCOL] = {"sec-websocket-protocol", 22},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_EXTENSIONS] = {"sec-websocket-extensions", 24},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_ACCEPT] = {"sec-websocket-accept", 20},
    [SL_HTTP1_HEADER_UPGRADE_INSECURE_REQUESTS] = {"upgrade-insecure-requests", 25},
    [SL_HTTP1_HEADER_STRICT_TRANSPORT_SECURITY] = {"strict-transport-security", 25},
    [SL_HTTP1_HEADER_X_CONTENT_TYPE_OPTIONS] = {"x-content-type-options", 22},
    [SL_HTTP1_HEADER_X_FRAME_OPTIONS] = {"x-frame-options", 15},
    [SL_HTTP1_HEADER_X_REQUESTED_WITH] = {"x-requested-with", 16},
    [SL_HTTP1_HEADER_X_API_KEY] = {"x-api-key", 9},
    [SL_HTTP1_HEADER_X_CORRELATION_ID] = {"x-correlation-id", 16},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN] = {"access-control-allow-origin", 27},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_METHODS] = {"access-control-allow-methods", 28},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_HEADERS] = {"access-control-allow-headers", 28},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS] = {"access-control-allow-credentials", 32},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS] = {"access-control-expose-headers", 29},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_MAX_AGE] = {"access-control-max-age", 22},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_METHOD] = {"access-control-request-method", 29},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_HEADERS] = {"access-control-request-headers", 30},
    [SL_HTTP1_HEADER_LAST_EVENT_ID] = {"last-event-id", 13},
};

static const struct sl_slice header_names[SL_HTTP1_HEADERS_COUNT] = {
#define X(id, text) [SL_HTTP1_HEADER_##id] = {(const uint8_t *)text, sizeof(text) - 1},
    SL_HTTP1_HEADERS(X)
#undef X
};

static const struct sl_slice method_names[SL_HTTP1_METHODS_COUNT] = {
#define X(id, text) [SL_HTTP1_METHOD_##id] = {(const uint8_t *)text, sizeof(text) - 1},
    SL_HTTP1_METHODS(X)
#undef X
};

/* Slot of each name: see header_slot. The factors were found by trying. */
static const uint8_t header_slots[SLOTS_COUNT] = {
    [7] = SL_HTTP1_HEADER_ACCEPT_CHARSET,
    [10] = SL_HTTP1_HEADER_IF_NONE_MATCH,
    [14] = SL_HTTP1_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
    [17] = SL_HTTP1_HEADER_SEC_WEBSOCKET_PROTOCOL,
    [27] = SL_HTTP1_HEADER_CONTENT_ENCODING,
    [35] = SL_HTTP1_HEADER_SEC_CH_UA_MOBILE,
    [36] = SL_HTTP1_HEADER_CONTENT_LENGTH,
    [39] = SL_HTTP1_HEADER_ALLOW,
    [44] = SL_HTTP1_HEADER_X_FRAME_OPTIONS,
    [45] = SL_HTTP1_HEADER_RANGE,
    [46] = SL_HTTP1_HEADER_X_FORWARDED_PROTO,
    [51] = SL_HTTP1_HEADER_SEC_CH_UA_PLATFORM,
    [65] = SL_HTTP1_HEADER_SEC_FETCH_MODE,
    [66] = SL_HTTP1_HEADER_CONTENT_LANGUAGE,
    [67] = SL_HTTP1_HEADER_IDEMPOTENCY_KEY,
    [69] = SL_HTTP1_HEADER_EXPIRES,
    [92] = SL_HTTP1_HEADER_TRAILER,
    [103] = SL_HTTP1_HEADER_MAX_FORWARDS,
    [111] = SL_HTTP1_HEADER_PROXY_CONNECTION,
    [113] = SL_HTTP1_HEADER_SEC_FETCH_SITE,
    [114] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
    [119] = SL_HTTP1_HEADER_HOST,
    [123] = SL_HTTP1_HEADER_VARY,
    [124] = SL_HTTP1_HEADER_X_REAL_IP,
    [131] = SL_HTTP1_HEADER_TRACEPARENT,
    [133] = SL_HTTP1_HEADER_SEC_FETCH_USER,
    [135] = SL_HTTP1_HEADER_CONTENT_LOCATION,
    [140] = SL_HTTP1_HEADER_PRAGMA,
    [147] = SL_HTTP1_HEADER_CONNECTION,
    [150] = SL_HTTP1_HEADER_UPGRADE,
    [153] = SL_HTTP1_HEADER_LINK,
    [154] = SL_HTTP1_HEADER_SEC_WEBSOCKET_ACCEPT,
    [157] = SL_HTTP1_HEADER_ORIGIN,
    [159] = SL_HTTP1_HEADER_VIA,
    [163] = SL_HTTP1_HEADER_LOCATION,
    [165] = SL_HTTP1_HEADER_SEC_WEBSOCKET_EXTENSIONS,
    [183] = SL_HTTP1_HEADER_DNT,
    [185] = SL_HTTP1_HEADER_SEC_FETCH_DEST,
    [196] = SL_HTTP1_HEADER_ACCEPT,
    [201] = SL_HTTP1_HEADER_X_CORRELATION_ID,
    [204] = SL_HTTP1_HEADER_LAST_MODIFIED,
    [220] = SL_HTTP1_HEADER_X_FORWARDED_FOR,
    [222] = SL_HTTP1_HEADER_WARNING,
    [224] = SL_HTTP1_HEADER_ETAG,
    [228] = SL_HTTP1_HEADER_ACCEPT_ENCODING,
    [232] = SL_HTTP1_HEADER_COOKIE,
    [237] = SL_HTTP1_HEADER_X_API_KEY,
    [241] = SL_HTTP1_HEADER_CONTENT_TYPE,
    [243] = SL_HTTP1_HEADER_WWW_AUTHENTICATE,
    [245] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_METHODS,
    [247] = SL_HTTP1_HEADER_ACCEPT_RANGES,
    [256] = SL_HTTP1_HEADER_PROXY_AUTHORIZATION,
    [267] = SL_HTTP1_HEADER_ACCEPT_LANGUAGE,
    [268] = SL_HTTP1_HEADER_SET_COOKIE,
    [286] = SL_HTTP1_HEADER_LAST_EVENT_ID,
    [287] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
    [290] = SL_HTTP1_HEADER_USER_AGENT,
    [301] = SL_HTTP1_HEADER_EXPECT,
    [308] = SL_HTTP1_HEADER_IF_RANGE,
    [309] = SL_HTTP1_HEADER_X_REQUEST_ID,
    [310] = SL_HTTP1_HEADER_CONTENT_DISPOSITION,
    [311] = SL_HTTP1_HEADER_IF_MATCH,
    [318] = SL_HTTP1_HEADER_TRANSFER_ENCODING,
    [319] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
    [320] = SL_HTTP1_HEADER_ALT_SVC,
    [324] = SL_HTTP1_HEADER_UPGRADE_INSECURE_REQUESTS,
    [340] = SL_HTTP1_HEADER_AUTHORIZATION,
    [341] = SL_HTTP1_HEADER_X_FORWARDED_HOST,
    [342] = SL_HTTP1_HEADER_CACHE_CONTROL,
    [357] = SL_HTTP1_HEADER_PRIORITY,
    [360] = SL_HTTP1_HEADER_SEC_WEBSOCKET_VERSION,
    [373] = SL_HTTP1_HEADER_TE,
    [376] = SL_HTTP1_HEADER_RETRY_AFTER,
    [377] = SL_HTTP1_HEADER_TRACESTATE,
    [381] = SL_HTTP1_HEADER_CONTENT_SECURITY_POLICY,
    [389] = SL_HTTP1_HEADER_BAGGAGE,
    [391] = SL_HTTP1_HEADER_KEEP_ALIVE,
    [412] = SL_HTTP1_HEADER_STRICT_TRANSPORT_SECURITY,
    [415] = SL_HTTP1_HEADER_IF_UNMODIFIED_SINCE,
    [421] = SL_HTTP1_HEADER_AGE,
    [425] = SL_HTTP1_HEADER_DATE,
    [428] = SL_HTTP1_HEADER_FORWARDED,
    [429] = SL_HTTP1_HEADER_X_CONTENT_TYPE_OPTIONS,
    [431] = SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_HEADERS,
    [437] = SL_HTTP1_HEADER_SEC_CH_UA,
    [442] = SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_METHOD,
    [444] = SL_HTTP1_HEADER_X_REQUESTED_WITH,
    [453] = SL_HTTP1_HEADER_CONTENT_RANGE,
    [459] = SL_HTTP1_HEADER_SERVER,
    [464] = SL_HTTP1_HEADER_ACCESS_CONTROL_MAX_AGE,
    [472] = SL_HTTP1_HEADER_FROM,
    [479] = SL_HTTP1_HEADER_IF_MODIFIED_SINCE,
    [492] = SL_HTTP1_HEADER_REFERER,
    [493] = SL_HTTP1_HEADER_SEC_WEBSOCKET_KEY,
    [499] = SL_HTTP1_HEADER_PROXY_AUTHENTICATE,
};

static inline uint32_t header_slot(const uint8_t *name, uint32_t size)
{
    uint32_t first = name[0] | 0x20u;
    uint32_t middle = name[size / 2] | 0x20u;
    uint32_t last = name[size - 1] | 0x20u;
    uint32_t before = name[size - 2] | 0x20u;
    return (size * 239 + first * 36 + middle * 10 + last * 5 + before * 3) % SLOTS_COUNT;
}

static inline uint64_t load64(const void *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return word | UINT64_C(0x2020202020202020);
}

static inline uint32_t load32(const void *data)
{
    uint32_t word;
    memcpy(&word, data, sizeof(word));
    return word | UINT32_C(0x20202020);
}

/*
 * Compare a token with a known name, without case. Setting bit 5 changes only letters, `^` and
 * `_` of a token, and no known name has `~` or DEL, so the comparison is exact.
 */
static inline bool name_equal(const uint8_t *name, const char *lower, size_t size)
{
    if (size >= 8) {
        for (size_t at = 0; at + 8 < size; at += 8) {
            if (load64(name + at) != load64(lower + at)) return false;
        }
        return load64(name + size - 8) == load64(lower + size - 8);
    }
    if (size >= 4) {
        return load32(name) == load32(lower) && load32(name + size - 4) == load32(lower + size - 4);
    }
    for (size_t i = 0; i < size; i++) {
        if ((name[i] | 0x20) != lower[i]) return false;
    }
    return true;
}

enum sl_http1_header_id sl_http1_header_find(struct sl_slice name)
{
    if (name.size < 2 || name.size > NAME_SIZE) return SL_HTTP1_HEADER_OTHER;
    uint8_t id = header_slots[header_slot(name.data, (uint32_t)name.size)];
    const struct name *known = &header_lower[id];
    if (known->size != name.size) return SL_HTTP1_HEADER_OTHER;
    if (!name_equal(name.data, known->lower, name.size)) return SL_HTTP1_HEADER_OTHER;
    return (enum sl_http1_header_id)id;
}

enum sl_http1_method sl_http1_method_find(struct sl_slice name)
{
    for (int id = 1; id < SL_HTTP1_METHODS_COUNT; id++) {
        if (sl_slice_eq(name, method_names[id])) return (enum sl_http1_method)id;
    }
    return SL_HTTP1_METHOD_OTHER;
}

struct sl_slice sl_http1_header_name(enum sl_http1_header_id id)
{
    sl_assert(id > SL_HTTP1_HEADER_OTHER);
    sl_assert(id < SL_HTTP1_HEADERS_COUNT);
    return header_names[id];
}

void sl_http1_header_canonical(struct sl_slice name, uint8_t *out)
{
    sl_assert(out != NULL);
    bool upper = true;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (upper && c >= 'a' && c <= 'z') c = (uint8_t)(c - 'a' + 'A');
        if (!upper && c >= 'A' && c <= 'Z') c = (uint8_t)(c - 'A' + 'a');
        out[i] = c;
        upper = c == '-';
    }
}
