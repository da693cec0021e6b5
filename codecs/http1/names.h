/* SPDX-License-Identifier: MIT */
/*
 * Names that HTTP/1.1 knows: methods and header fields, each once, in one table.
 *
 * Field names are in the form in which payloads carry them: every word capitalised, the rest in
 * small letters (`Etag`, `Www-Authenticate`), as Go's net/http does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

/* The registered methods, https://www.iana.org/assignments/http-methods, and a few in wide use. */
#define SL_HTTP1_METHODS(X)                                                                        \
    X(GET, "GET")                                                                                  \
    X(HEAD, "HEAD")                                                                                \
    X(POST, "POST")                                                                                \
    X(PUT, "PUT")                                                                                  \
    X(DELETE, "DELETE")                                                                            \
    X(CONNECT, "CONNECT")                                                                          \
    X(OPTIONS, "OPTIONS")                                                                          \
    X(TRACE, "TRACE")                                                                              \
    X(PATCH, "PATCH")                                                                              \
    X(ACL, "ACL")                                                                                  \
    X(BASELINE_CONTROL, "BASELINE-CONTROL")                                                        \
    X(BIND, "BIND")                                                                                \
    X(CHECKIN, "CHECKIN")                                                                          \
    X(CHECKOUT, "CHECKOUT")                                                                        \
    X(COPY, "COPY")                                                                                \
    X(LABEL, "LABEL")                                                                              \
    X(LINK, "LINK")                                                                                \
    X(LOCK, "LOCK")                                                                                \
    X(MERGE, "MERGE")                                                                              \
    X(MKACTIVITY, "MKACTIVITY")                                                                    \
    X(MKCALENDAR, "MKCALENDAR")                                                                    \
    X(MKCOL, "MKCOL")                                                                              \
    X(MKREDIRECTREF, "MKREDIRECTREF")                                                              \
    X(MKWORKSPACE, "MKWORKSPACE")                                                                  \
    X(MOVE, "MOVE")                                                                                \
    X(M_SEARCH, "M-SEARCH")                                                                        \
    X(NOTIFY, "NOTIFY")                                                                            \
    X(ORDERPATCH, "ORDERPATCH")                                                                    \
    X(PROPFIND, "PROPFIND")                                                                        \
    X(PROPPATCH, "PROPPATCH")                                                                      \
    X(PURGE, "PURGE")                                                                              \
    X(QUERY, "QUERY")                                                                              \
    X(REBIND, "REBIND")                                                                            \
    X(REPORT, "REPORT")                                                                            \
    X(SEARCH, "SEARCH")                                                                            \
    X(SOURCE, "SOURCE")                                                                            \
    X(SUBSCRIBE, "SUBSCRIBE")                                                                      \
    X(UNBIND, "UNBIND")                                                                            \
    X(UNCHECKOUT, "UNCHECKOUT")                                                                    \
    X(UNLINK, "UNLINK")                                                                            \
    X(UNLOCK, "UNLOCK")                                                                            \
    X(UNSUBSCRIBE, "UNSUBSCRIBE")                                                                  \
    X(UPDATE, "UPDATE")                                                                            \
    X(UPDATEREDIRECTREF, "UPDATEREDIRECTREF")                                                      \
    X(VERSION_CONTROL, "VERSION-CONTROL")

enum sl_http1_method {
    SL_HTTP1_METHOD_OTHER = 0,
#define X(id, text) SL_HTTP1_METHOD_##id,
    SL_HTTP1_METHODS(X)
#undef X
        SL_HTTP1_METHODS_COUNT
};

/* The first six are read by the parser itself, which relies on their place. */
#define SL_HTTP1_HEADERS(X)                                                                        \
    X(HOST, "Host")                                                                                \
    X(CONTENT_LENGTH, "Content-Length")                                                            \
    X(TRANSFER_ENCODING, "Transfer-Encoding")                                                      \
    X(CONNECTION, "Connection")                                                                    \
    X(EXPECT, "Expect")                                                                            \
    X(UPGRADE, "Upgrade")                                                                          \
    X(CONTENT_TYPE, "Content-Type")                                                                \
    X(CONTENT_ENCODING, "Content-Encoding")                                                        \
    X(X_REQUEST_ID, "X-Request-Id")                                                                \
    X(X_FORWARDED_FOR, "X-Forwarded-For")                                                          \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")                                                      \
    X(X_FORWARDED_HOST, "X-Forwarded-Host")                                                        \
    X(DATE, "Date")                                                                                \
    X(SERVER, "Server")                                                                            \
    X(KEEP_ALIVE, "Keep-Alive")                                                                    \
    X(TRAILER, "Trailer")                                                                          \
    X(TE, "Te")                                                                                    \
    X(ACCEPT, "Accept")                                                                            \
    X(ACCEPT_ENCODING, "Accept-Encoding")                                                          \
    X(ACCEPT_LANGUAGE, "Accept-Language")                                                          \
    X(ACCEPT_CHARSET, "Accept-Charset")                                                            \
    X(ACCEPT_RANGES, "Accept-Ranges")                                                              \
    X(USER_AGENT, "User-Agent")                                                                    \
    X(COOKIE, "Cookie")                                                                            \
    X(SET_COOKIE, "Set-Cookie")                                                                    \
    X(AUTHORIZATION, "Authorization")                                                              \
    X(CACHE_CONTROL, "Cache-Control")                                                              \
    X(CONTENT_LANGUAGE, "Content-Language")                                                        \
    X(CONTENT_DISPOSITION, "Content-Disposition")                                                  \
    X(CONTENT_LOCATION, "Content-Location")                                                        \
    X(CONTENT_RANGE, "Content-Range")                                                              \
    X(CONTENT_SECURITY_POLICY, "Content-Security-Policy")                                          \
    X(ETAG, "Etag")                                                                                \
    X(EXPIRES, "Expires")                                                                          \
    X(LAST_MODIFIED, "Last-Modified")                                                              \
    X(IF_MATCH, "If-Match")                                                                        \
    X(IF_NONE_MATCH, "If-None-Match")                                                              \
    X(IF_MODIFIED_SINCE, "If-Modified-Since")                                                      \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since")                                                  \
    X(IF_RANGE, "If-Range")                                                                        \
    X(RANGE, "Range")                                                                              \
    X(LOCATION, "Location")                                                                        \
    X(ORIGIN, "Origin")                                                                            \
    X(REFERER, "Referer")                                                                          \
    X(VARY, "Vary")                                                                                \
    X(VIA, "Via")                                                                                  \
    X(AGE, "Age")                                                                                  \
    X(ALLOW, "Allow")                                                                              \
    X(LINK, "Link")                                                                                \
    X(PRAGMA, "Pragma")                                                                            \
    X(RETRY_AFTER, "Retry-After")                                                                  \
    X(WARNING, "Warning")                                                                          \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization")                                                  \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate")                                                    \
    X(PROXY_CONNECTION, "Proxy-Connection")                                                        \
    X(WWW_AUTHENTICATE, "Www-Authenticate")                                                        \
    X(X_REAL_IP, "X-Real-Ip")                                                                      \
    X(FORWARDED, "Forwarded")                                                                      \
    X(TRACEPARENT, "Traceparent")                                                                  \
    X(TRACESTATE, "Tracestate")                                                                    \
    X(BAGGAGE, "Baggage")                                                                          \
    X(PRIORITY, "Priority")                                                                        \
    X(DNT, "Dnt")                                                                                  \
    X(MAX_FORWARDS, "Max-Forwards")                                                                \
    X(FROM, "From")                                                                                \
    X(ALT_SVC, "Alt-Svc")                                                                          \
    X(IDEMPOTENCY_KEY, "Idempotency-Key")                                                          \
    X(SEC_FETCH_DEST, "Sec-Fetch-Dest")                                                            \
    X(SEC_FETCH_MODE, "Sec-Fetch-Mode")                                                            \
    X(SEC_FETCH_SITE, "Sec-Fetch-Site")                                                            \
    X(SEC_FETCH_USER, "Sec-Fetch-User")                                                            \
    X(SEC_CH_UA, "Sec-Ch-Ua")                                                                      \
    X(SEC_CH_UA_MOBILE, "Sec-Ch-Ua-Mobile")                                                        \
    X(SEC_CH_UA_PLATFORM, "Sec-Ch-Ua-Platform")                                                    \
    X(SEC_WEBSOCKET_KEY, "Sec-Websocket-Key")                                                      \
    X(SEC_WEBSOCKET_VERSION, "Sec-Websocket-Version")                                              \
    X(SEC_WEBSOCKET_PROTOCOL, "Sec-Websocket-Protocol")                                            \
    X(SEC_WEBSOCKET_EXTENSIONS, "Sec-Websocket-Extensions")                                        \
    X(SEC_WEBSOCKET_ACCEPT, "Sec-Websocket-Accept")                                                \
    X(UPGRADE_INSECURE_REQUESTS, "Upgrade-Insecure-Requests")                                      \
    X(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security")                                      \
    X(X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options")                                            \
    X(X_FRAME_OPTIONS, "X-Frame-Options")                                                          \
    X(X_REQUESTED_WITH, "X-Requested-With")                                                        \
    X(X_API_KEY, "X-Api-Key")                                                                      \
    X(X_CORRELATION_ID, "X-Correlation-Id")                                                        \
    X(ACCESS_CONTROL_ALLOW_ORIGIN, "Access-Control-Allow-Origin")                                  \
    X(ACCESS_CONTROL_ALLOW_METHODS, "Access-Control-Allow-Methods")                                \
    X(ACCESS_CONTROL_ALLOW_HEADERS, "Access-Control-Allow-Headers")                                \
    X(ACCESS_CONTROL_ALLOW_CREDENTIALS, "Access-Control-Allow-Credentials")                        \
    X(ACCESS_CONTROL_EXPOSE_HEADERS, "Access-Control-Expose-Headers")                              \
    X(ACCESS_CONTROL_MAX_AGE, "Access-Control-Max-Age")                                            \
    X(ACCESS_CONTROL_REQUEST_METHOD, "Access-Control-Request-Method")                              \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "Access-Control-Request-Headers")                            \
    X(LAST_EVENT_ID, "Last-Event-Id")

enum sl_http1_header_id {
    SL_HTTP1_HEADER_OTHER = 0,
#define X(id, text) SL_HTTP1_HEADER_##id,
    SL_HTTP1_HEADERS(X)
#undef X
        SL_HTTP1_HEADERS_COUNT
};

/* The method of a name (case matters), or SL_HTTP1_METHOD_OTHER. */
enum sl_http1_method sl_http1_method_find(struct sl_slice name);

/* The id of a field name that is a token, without case; or SL_HTTP1_HEADER_OTHER. */
enum sl_http1_header_id sl_http1_header_find(struct sl_slice name);

/* The name of an id as payloads carry it; static. Not for SL_HTTP1_HEADER_OTHER. */
struct sl_slice sl_http1_header_name(enum sl_http1_header_id id);

/* The same form for any name: `x-my-header` becomes `X-My-Header`. `out` has name.size bytes. */
void sl_http1_header_canonical(struct sl_slice name, uint8_t *out);
