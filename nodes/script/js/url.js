/* SPDX-License-Identifier: MIT */
/*
 * URL and URLSearchParams after the URL Standard (url.spec.whatwg.org): parsing by parts instead of
 * its state machine, with the same results for what people write. Hosts beyond ASCII are lower-cased,
 * normalised (NFKC) and Punycode-encoded; the rest of UTS 46 is not checked.
 */
(function () {
'use strict';

const SPECIAL = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };
const isSpecial = (protocol) => Object.hasOwn(SPECIAL, protocol);
const encoder = new TextEncoder(), decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/* Percent-encode sets, as what besides C0, DEL and above is encoded. */
const FRAGMENT = ' "<>`', QUERY = ' "#<>', SPECIAL_QUERY = ` "#<>'`, PATH = ' "#<>?`{}^', USERINFO = ' "#<>?`{}/:;=@[\\]^|';

function encode(text, set) {
    let out = '';
    for (const character of text.toWellFormed()) {
        const code = character.codePointAt(0);
        if (code > 0x1f && code < 0x7f && !set.includes(character)) {
            out += character;
        } else {
            for (const byte of encoder.encode(character)) out += '%' + byte.toString(16).toUpperCase().padStart(2, '0');
        }
    }
    return out;
}

function percentDecode(text) {
    if (!text.includes('%')) return text;
    const bytes = encoder.encode(text), out = [];
    for (let i = 0; i < bytes.length; i++) {
        const hex = bytes[i] === 0x25 ? String.fromCharCode(bytes[i + 1] ?? 0, bytes[i + 2] ?? 0) : '';
        if (/^[0-9a-fA-F]{2}$/.test(hex)) {
            out.push(parseInt(hex, 16));
            i += 2;
        } else {
            out.push(bytes[i]);
        }
    }
    return decoder.decode(new Uint8Array(out));
}

/* ---- Hosts ------------------------------------------------------------------------------ */

/* RFC 3492, section 6.3. */
function punycode(label) {
    const codes = Array.from(label, (character) => character.codePointAt(0));
    let out = codes.filter((code) => code < 128).map((code) => String.fromCharCode(code)).join('');
    let handled = out.length, n = 128, delta = 0, bias = 72;
    const basic = handled;
    if (basic > 0) out += '-';
    const digit = (d) => String.fromCharCode(d < 26 ? d + 97 : d + 22);
    while (handled < codes.length) {
        const next = Math.min(...codes.filter((code) => code >= n));
        delta += (next - n) * (handled + 1);
        n = next;
        for (const code of codes) {
            if (code < n) delta++;
            if (code !== n) continue;
            let q = delta;
            for (let k = 36;; k += 36) {
                const t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
                if (q < t) break;
                out += digit(t + (q - t) % (36 - t));
                q = Math.floor((q - t) / (36 - t));
            }
            out += digit(q);
            let d = handled === basic ? Math.floor(delta / 700) : Math.floor(delta / 2), k = 0;
            d += Math.floor(d / (handled + 1));
            for (; d > 455; k += 36) d = Math.floor(d / 35);
            bias = k + Math.floor(36 * d / (d + 38));
            delta = 0;
            handled++;
        }
        delta++;
        n++;
    }
    return 'xn--' + out;
}

function ipv4Number(part) {
    if (/^0[xX][0-9a-fA-F]*$/.test(part)) return part.length === 2 ? 0 : parseInt(part.slice(2), 16);
    if (/^0[0-7]+$/.test(part)) return parseInt(part, 8);
    return /^[0-9]+$/.test(part) ? parseInt(part, 10) : NaN;
}

/* The host as an IPv4 address, null if it is a name, undefined if it is neither. */
function ipv4(host) {
    const parts = host.split('.');
    if (parts.length > 1 && parts.at(-1) === '') parts.pop();
    const last = parts.at(-1);
    if (!/^[0-9]+$/.test(last) && Number.isNaN(ipv4Number(last))) return null;
    const numbers = parts.map(ipv4Number);
    if (parts.length > 4 || numbers.some(Number.isNaN)) return undefined;
    const tail = numbers.pop();
    if (numbers.some((number) => number > 255) || tail >= 256 ** (4 - numbers.length)) return undefined;
    const address = numbers.reduce((sum, number, i) => sum + number * 256 ** (3 - i), tail);
    return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

function ipv6(text) {
    const four = text.match(/^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/);
    if (four !== null) {
        const octets = four.slice(2).map(Number);
        if (octets.some((octet, i) => octet > 255 || (four[i + 2].length > 1 && four[i + 2][0] === '0'))) return undefined;
        text = four[1] + (octets[0] * 256 + octets[1]).toString(16) + ':' + (octets[2] * 256 + octets[3]).toString(16);
    }
    const halves = text.split('::');
    if (halves.length > 2) return undefined;
    const [head, tail] = halves.map((half) => half === '' ? [] : half.split(':'));
    const given = head.length + (tail?.length ?? 0);
    if (tail === undefined ? given !== 8 : given > 7) return undefined;
    const pieces = [...head, ...Array(8 - given).fill('0'), ...(tail ?? [])];
    if (!pieces.every((piece) => /^[0-9a-fA-F]{1,4}$/.test(piece))) return undefined;
    const numbers = pieces.map((piece) => parseInt(piece, 16));
    let best = 0, bestAt = -1;
    for (let i = 0, run = 0; i < 8; i++) {
        run = numbers[i] === 0 ? run + 1 : 0;
        if (run > best && run > 1) [best, bestAt] = [run, i - run + 1];
    }
    const hex = numbers.map((number) => number.toString(16));
    if (bestAt < 0) return `[${hex.join(':')}]`;
    return `[${hex.slice(0, bestAt).join(':')}::${hex.slice(bestAt + best).join(':')}]`;
}

/* Returns the serialised host, or undefined. */
function parseHost(text, special) {
    if (text.startsWith('[')) return text.endsWith(']') ? ipv6(text.slice(1, -1)) : undefined;
    if (!special) return /[\0\t\n\r #/:<>?@[\\\]^|]/.test(text) ? undefined : encode(text, '');
    let host = percentDecode(text).toLowerCase().normalize('NFKC');
    if (/[\u0000-\u0020"#%/:<>?@[\\\]^`{|}\u007f]/.test(host) || host === '') return undefined;
    host = host.split(/[.\u3002]/).map((label) => /[^\0-\x7f]/.test(label) ? punycode(label) : label).join('.');
    const address = ipv4(host);
    return address === null ? host : address;
}

/* ---- Parsing ---------------------------------------------------------------------------- */

function parsePath(text, special, base) {
    const out = [...base];
    const segments = (special ? text.replaceAll('\\', '/') : text).split('/');
    segments.forEach((segment, i) => {
        const last = i === segments.length - 1;
        if (/^(\.|%2e){2}$/i.test(segment)) {
            out.pop();
            if (last) out.push('');
        } else if (/^(\.|%2e)$/i.test(segment)) {
            if (last) out.push('');
        } else {
            out.push(encode(segment, PATH));
        }
    });
    return out;
}

function parseAuthority(url, text) {
    const special = isSpecial(url.protocol);
    const at = text.lastIndexOf('@');
    if (at >= 0) {
        const colon = text.slice(0, at).indexOf(':');
        url.username = encode(text.slice(0, colon >= 0 ? colon : at), USERINFO);
        url.password = colon >= 0 ? encode(text.slice(colon + 1, at), USERINFO) : '';
        text = text.slice(at + 1);
        if (text === '') return false;
    }
    const port = text.match(/:([0-9]*)$/);
    const hostText = port === null ? text : text.slice(0, port.index);
    if (special && url.protocol !== 'file:' && hostText === '') return false;
    if (hostText === '' && (port !== null && port[1] !== '')) return false;
    url.host = hostText === '' ? '' : parseHost(hostText, special);
    if (url.host === undefined) return false;
    if (url.protocol === 'file:' && url.host === 'localhost') url.host = '';
    return port === null || setPort(url, port[1]);
}

function setPort(url, text) {
    if (text === '') {
        url.port = '';
        return true;
    }
    const number = Number(text);
    if (number > 65535) return false;
    url.port = String(number) === SPECIAL[url.protocol] ? '' : String(number);
    return true;
}

/* Cut `text` into what is before the query, the query and the fragment. */
function cut(text) {
    let fragment = null, query = null;
    const hash = text.indexOf('#');
    if (hash >= 0) [text, fragment] = [text.slice(0, hash), text.slice(hash + 1)];
    const mark = text.indexOf('?');
    if (mark >= 0) [text, query] = [text.slice(0, mark), text.slice(mark + 1)];
    return [text, query, fragment];
}

function emptyUrl(protocol) {
    return { protocol, username: '', password: '', host: null, port: '', path: [], opaque: null, query: null, fragment: null };
}

function parseRelative(rest, query, base) {
    if (base === null) return null;
    if (base.opaque !== null) return rest === '' && query === null ? { ...base } : null;
    const url = { ...base, path: [...base.path], fragment: null };
    const special = isSpecial(base.protocol);
    const text = special ? rest.replaceAll('\\', '/') : rest;
    if (text.startsWith('//')) return parseAfterScheme(emptyUrl(base.protocol), text);
    if (text.startsWith('/')) {
        url.path = parsePath(text.slice(1), special, []);
        url.query = null;
    } else if (text !== '') {
        url.path = parsePath(text, special, url.path.slice(0, -1));
        url.query = null;
    } else if (query !== null) {
        url.query = null;
    }
    return url;
}

/* `rest` follows the scheme: "//host/path", "/path" or an opaque path. */
function parseAfterScheme(url, rest) {
    const special = isSpecial(url.protocol);
    if (special) {
        rest = rest.replaceAll('\\', '/');
        rest = url.protocol === 'file:' ? (rest.startsWith('//') ? rest : '//' + (rest.startsWith('/') ? rest : '/' + rest))
            : '//' + rest.replace(/^\/*/, '');
    }
    if (rest.startsWith('//')) {
        const end = rest.indexOf('/', 2);
        if (!parseAuthority(url, end < 0 ? rest.slice(2) : rest.slice(2, end))) return null;
        rest = end < 0 ? '' : rest.slice(end);
        url.path = rest === '' ? (special ? [''] : []) : parsePath(rest.slice(1), special, []);
    } else if (rest.startsWith('/')) {
        url.path = parsePath(rest.slice(1), special, []);
    } else {
        url.opaque = encode(rest, '');
    }
    return url;
}

function parse(input, base) {
    const [text, query, fragment] = cut(input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '').replace(/[\t\n\r]/g, ''));
    const scheme = text.match(/^([a-zA-Z][a-zA-Z0-9+.-]*):/);
    let url;
    if (scheme === null) {
        url = parseRelative(text, query, base);
    } else {
        const protocol = scheme[0].toLowerCase(), rest = text.slice(scheme[0].length);
        const relative = isSpecial(protocol) && base !== null && base.protocol === protocol && !/^[\\/]{2}/.test(rest);
        url = relative ? parseRelative(rest, query, base) : parseAfterScheme(emptyUrl(protocol), rest);
    }
    if (url === null) return null;
    if (query !== null) url.query = encode(query, isSpecial(url.protocol) ? SPECIAL_QUERY : QUERY);
    if (fragment !== null) url.fragment = encode(fragment, FRAGMENT);
    return url;
}

function pathname(url) {
    if (url.opaque !== null) return url.opaque;
    return url.path.length === 0 ? '' : '/' + url.path.join('/');
}

function serialize(url) {
    let out = url.protocol;
    if (url.host !== null) {
        out += '//';
        if (url.username !== '' || url.password !== '') {
            out += url.username + (url.password !== '' ? ':' + url.password : '') + '@';
        }
        out += url.host + (url.port !== '' ? ':' + url.port : '');
    } else if (url.opaque === null && url.path.length > 1 && url.path[0] === '') {
        out += '/.';
    }
    return out + pathname(url) + (url.query !== null ? '?' + url.query : '') + (url.fragment !== null ? '#' + url.fragment : '');
}

/* ---- The classes ------------------------------------------------------------------------ */

function formEncode(text) {
    let out = '';
    for (const byte of encoder.encode(text)) {
        const character = String.fromCharCode(byte);
        if (character === ' ') out += '+';
        else if (/[A-Za-z0-9*._-]/.test(character)) out += character;
        else out += '%' + byte.toString(16).toUpperCase().padStart(2, '0');
    }
    return out;
}

const formDecode = (text) => percentDecode(text.replaceAll('+', ' '));

function formParse(text) {
    const pairs = [];
    for (const part of text.split('&')) {
        if (part === '') continue;
        const equal = part.indexOf('=');
        pairs.push(equal < 0 ? [formDecode(part), ''] : [formDecode(part.slice(0, equal)), formDecode(part.slice(equal + 1))]);
    }
    return pairs;
}

let attach;

class URLSearchParams {
    #pairs = [];
    #changed = null;
    static {
        attach = (params, text, changed) => {
            params.#pairs = formParse(text);
            params.#changed = changed;
        };
    }

    constructor(init = '') {
        if (typeof init === 'object' && init !== null) {
            const list = typeof init[Symbol.iterator] === 'function' ? [...init] : Object.entries(init);
            for (const pair of list) {
                const [...two] = pair;
                if (two.length !== 2) throw new TypeError('URLSearchParams: not a pair of name and value');
                this.#pairs.push([String(two[0]).toWellFormed(), String(two[1]).toWellFormed()]);
            }
        } else {
            this.#pairs = formParse(String(init).replace(/^\?/, ''));
        }
    }
    #update() { if (this.#changed !== null) this.#changed(this.toString()); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([String(name), String(value)]); this.#update(); }
    delete(name, value) {
        this.#pairs = this.#pairs.filter(([n, v]) => n !== String(name) || (value !== undefined && v !== String(value)));
        this.#update();
    }
    get(name) { return this.#pairs.find(([n]) => n === String(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([n]) => n === String(name)).map(([, v]) => v); }
    has(name, value) { return this.#pairs.some(([n, v]) => n === String(name) && (value === undefined || v === String(value))); }
    set(name, value) {
        const at = this.#pairs.findIndex(([n]) => n === String(name));
        if (at < 0) {
            this.#pairs.push([String(name), String(value)]);
        } else {
            this.#pairs[at][1] = String(value);
            this.#pairs = this.#pairs.filter(([n], i) => i <= at || n !== String(name));
        }
        this.#update();
    }
    sort() { this.#pairs.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0); this.#update(); }
    forEach(callback, self) { for (const [name, value] of this.#pairs) callback.call(self, value, name, this); }
    *entries() { for (const [name, value] of this.#pairs) yield [name, value]; }
    *keys() { for (const [name] of this.#pairs) yield name; }
    *values() { for (const [, value] of this.#pairs) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this.#pairs.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&'); }
    toJSON() { return this.toString(); }
    get [Symbol.toStringTag]() { return 'URLSearchParams'; }
}

class URL {
    #url;
    #params = null;

    constructor(input, base) {
        const baseUrl = base === undefined ? null : parse(String(base), null);
        if (base !== undefined && baseUrl === null) throw new TypeError(`URL: not a valid base: ${base}`);
        this.#url = parse(String(input), baseUrl);
        if (this.#url === null) throw new TypeError(`URL: not a valid URL: ${input}`);
    }
    static canParse(input, base) {
        try {
            return new URL(input, base) !== null;
        } catch (_) {
            return false;
        }
    }
    static parse(input, base) {
        try {
            return new URL(input, base);
        } catch (_) {
            return null;
        }
    }
    #queryChanged() { if (this.#params !== null) this.#bind(); }
    #bind() {
        attach(this.#params, this.#url.query ?? '', (text) => { this.#url.query = text === '' ? null : text; });
    }
    get href() { return serialize(this.#url); }
    set href(value) {
        const url = parse(String(value), null);
        if (url === null) throw new TypeError(`URL: not a valid URL: ${value}`);
        this.#url = url;
        this.#queryChanged();
    }
    get origin() {
        const { protocol, host, port } = this.#url;
        return isSpecial(protocol) && protocol !== 'file:' ? `${protocol}//${host}${port !== '' ? ':' + port : ''}` : 'null';
    }
    get protocol() { return this.#url.protocol; }
    set protocol(value) {
        const scheme = String(value).match(/^([a-zA-Z][a-zA-Z0-9+.-]*):?/);
        if (scheme === null) return;
        const protocol = scheme[1].toLowerCase() + ':';
        if (isSpecial(protocol) !== isSpecial(this.#url.protocol)) return;
        this.#url.protocol = protocol;
        if (this.#url.port === SPECIAL[protocol]) this.#url.port = '';
    }
    get username() { return this.#url.username; }
    set username(value) { if (this.#url.host) this.#url.username = encode(String(value), USERINFO); }
    get password() { return this.#url.password; }
    set password(value) { if (this.#url.host) this.#url.password = encode(String(value), USERINFO); }
    get host() { return (this.#url.host ?? '') + (this.#url.port !== '' ? ':' + this.#url.port : ''); }
    set host(value) {
        if (this.#url.opaque !== null) return;
        const next = { ...this.#url };
        const text = String(value).split(/[/?#\\]/)[0];
        if (text.includes('@') || !parseAuthority(next, text)) return;
        this.#url = next;
    }
    get hostname() { return this.#url.host ?? ''; }
    set hostname(value) {
        if (this.#url.opaque !== null) return;
        const host = parseHost(String(value).split(/[/?#\\]/)[0], isSpecial(this.#url.protocol));
        if (host !== undefined) this.#url.host = host;
    }
    get port() { return this.#url.port; }
    set port(value) {
        const digits = String(value).match(/^[0-9]*/)[0];
        if (this.#url.host && (digits !== '' || String(value) === '')) setPort(this.#url, digits);
    }
    get pathname() { return pathname(this.#url); }
    set pathname(value) {
        if (this.#url.opaque !== null) return;
        this.#url.path = parsePath(String(value).replace(/^[/\\]/, ''), isSpecial(this.#url.protocol), []);
    }
    get search() { return this.#url.query ? '?' + this.#url.query : ''; }
    set search(value) {
        const text = String(value).replace(/^\?/, '');
        this.#url.query = text === '' ? null : encode(text, isSpecial(this.#url.protocol) ? SPECIAL_QUERY : QUERY);
        this.#queryChanged();
    }
    get searchParams() {
        if (this.#params === null) {
            this.#params = new URLSearchParams();
            this.#bind();
        }
        return this.#params;
    }
    get hash() { return this.#url.fragment ? '#' + this.#url.fragment : ''; }
    set hash(value) {
        const text = String(value).replace(/^#/, '');
        this.#url.fragment = text === '' ? null : encode(text, FRAGMENT);
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
    get [Symbol.toStringTag]() { return 'URL'; }
}

return { URL, URLSearchParams };
})
