/* SPDX-License-Identifier: MIT */
/*
 * URL and URLSearchParams after the URL Standard (url.spec.whatwg.org): parsing by parts instead of
 * its state machine, with the same results. Hosts beyond ASCII: what UTS 46 ignores is dropped, the rest
 * lower-cased, normalised (NFKC) and Punycode-encoded; characters that no host has, and labels that
 * are no Punycode although they say so, are refused. The rule for mixed directions of writing is not checked.
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

/* RFC 3492, section 6.2: the characters of a label behind "xn--", or undefined. */
function punycodeDecode(text) {
    const cut = text.lastIndexOf('-'), out = cut > 0 ? [...text.slice(0, cut)].map((c) => c.codePointAt(0)) : [];
    let n = 128, i = 0, bias = 72;
    for (let at = cut > 0 ? cut + 1 : 0; at < text.length;) {
        const before = i;
        for (let w = 1, k = 36;; k += 36) {
            const code = text.charCodeAt(at++);
            const digit = code >= 48 && code <= 57 ? code - 22 : code >= 97 && code <= 122 ? code - 97 : -1;
            if (digit < 0) return undefined;
            i += digit * w;
            const t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
            if (i > 0x7fffffff) return undefined;
            if (digit < t) break;
            w *= 36 - t;
        }
        const count = out.length + 1;
        let d = before === 0 ? Math.floor(i / 700) : Math.floor((i - before) / 2), k = 0;
        d += Math.floor(d / count);
        for (; d > 455; k += 36) d = Math.floor(d / 35);
        bias = k + Math.floor(36 * d / (d + 38));
        n += Math.floor(i / count);
        i %= count;
        if (n > 0x10ffff) return undefined;
        out.splice(i++, 0, n);
    }
    return String.fromCodePoint(...out);
}

/* What UTS 46 drops, and what no label may have: beginning with a mark, or anywhere. */
const IGNORED = /[\u00ad\u034f\u180b-\u180d\u200b\u2060\u2064\ufe00-\ufe0f\ufeff]/g;
const REFUSED = /^\p{M}|[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zs}\p{Zl}\p{Zp}\ufffd\u2028-\u202e\u2066-\u206f]/u;

/* One label as ASCII, or undefined. */
function labelToAscii(label) {
    if (/[^\0-\x7f]/.test(label)) return REFUSED.test(label) || label.startsWith('xn--') ? undefined : punycode(label);
    if (!label.startsWith('xn--')) return label;
    const decoded = punycodeDecode(label.slice(4));
    if (decoded === undefined || !/[^\0-\x7f]/.test(decoded) || REFUSED.test(decoded)) return undefined;
    return decoded === decoded.toLowerCase().normalize('NFKC') && punycode(decoded) === label ? label : undefined;
}

function ipv4Number(part) {
    if (/^0[xX][0-9a-fA-F]*$/.test(part)) return part.length === 2 ? 0 : parseInt(part.slice(2), 16);
    if (/^0[0-9]+$/.test(part)) return /[89]/.test(part) ? NaN : parseInt(part, 8);
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
    let host = percentDecode(text).toLowerCase();
    if (/[^\0-\x7f]/.test(host)) host = host.replace(IGNORED, '').normalize('NFKC').toLowerCase().normalize('NFKC');
    const labels = host.split(/[.\u3002]/).map(labelToAscii);
    if (labels.includes(undefined)) return undefined;
    host = labels.join('.');
    if (/[\u0000-\u0020#%/:<>?@[\\\]^|\u007f]/.test(host) || host === '') return undefined;
    const address = ipv4(host);
    return address === null ? host : address;
}

/* ---- Parsing ---------------------------------------------------------------------------- */

const isDrive = (text) => /^[a-zA-Z][:|]$/.test(text);
const startsWithDrive = (text) => /^[a-zA-Z][:|]($|[/\\])/.test(text);

/* Without its last segment; a drive of a file stays. */
function shortened(path, protocol) {
    if (protocol === 'file:' && path.length === 1 && /^[a-zA-Z]:$/.test(path[0])) return [...path];
    return path.slice(0, -1);
}

function parsePath(text, protocol, base) {
    let out = [...base];
    const segments = (isSpecial(protocol) ? text.replaceAll('\\', '/') : text).split('/');
    segments.forEach((segment, i) => {
        const last = i === segments.length - 1;
        if (/^(\.|%2e){2}$/i.test(segment)) {
            out = shortened(out, protocol);
            if (last) out.push('');
        } else if (/^(\.|%2e)$/i.test(segment)) {
            if (last) out.push('');
        } else if (protocol === 'file:' && out.length === 0 && isDrive(segment)) {
            out.push(segment[0] + ':');
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
    if (special && hostText === '') return false;
    if (hostText === '' && (port !== null && port[1] !== '')) return false;
    url.host = hostText === '' ? '' : parseHost(hostText, special);
    if (url.host === undefined) return false;
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
    if (base.protocol === 'file:') return parseFile(rest, query, base);
    const url = { ...base, path: [...base.path], fragment: null };
    const text = isSpecial(base.protocol) ? rest.replaceAll('\\', '/') : rest;
    if (text.startsWith('//')) return parseAfterScheme(emptyUrl(base.protocol), text);
    if (text.startsWith('/')) {
        url.path = parsePath(text.slice(1), base.protocol, []);
        url.query = null;
    } else if (text !== '') {
        url.path = parsePath(text, base.protocol, shortened(url.path, base.protocol));
        url.query = null;
    } else if (query !== null) {
        url.query = null;
    }
    return url;
}

/* The states of files; `base` is null or that of a file. */
function parseFile(rest, query, base) {
    const url = { ...emptyUrl('file:'), host: '' };
    const text = rest.replaceAll('\\', '/');
    if (text.startsWith('//')) {
        const end = text.indexOf('/', 2), host = end < 0 ? text.slice(2) : text.slice(2, end);
        if (isDrive(host)) {
            url.path = parsePath(text.slice(2), 'file:', []);
            return url;
        }
        url.host = host === '' ? '' : parseHost(host, true);
        if (url.host === undefined) return null;
        if (url.host === 'localhost') url.host = '';
        url.path = end < 0 ? [''] : parsePath(text.slice(end + 1), 'file:', []);
    } else if (text.startsWith('/')) {
        const drive = base !== null && !startsWithDrive(text.slice(1)) && /^[a-zA-Z]:$/.test(base.path[0] ?? '');
        if (base !== null) url.host = base.host;
        url.path = parsePath(text.slice(1), 'file:', drive ? [base.path[0]] : []);
    } else if (base !== null) {
        url.host = base.host;
        url.path = text === '' ? [...base.path]
            : parsePath(text, 'file:', startsWithDrive(text) ? [] : shortened(base.path, 'file:'));
        if (text === '' && query === null) url.query = base.query;
    } else {
        url.path = text === '' ? [''] : parsePath(text, 'file:', []);
    }
    return url;
}

/* `rest` follows the scheme: "//host/path", "/path" or an opaque path. */
function parseAfterScheme(url, rest) {
    const special = isSpecial(url.protocol);
    if (special) rest = '//' + rest.replaceAll('\\', '/').replace(/^\/*/, '');
    if (rest.startsWith('//')) {
        const end = rest.indexOf('/', 2);
        if (!parseAuthority(url, end < 0 ? rest.slice(2) : rest.slice(2, end))) return null;
        rest = end < 0 ? '' : rest.slice(end);
        url.path = rest === '' ? (special ? [''] : []) : parsePath(rest.slice(1), url.protocol, []);
    } else if (rest.startsWith('/')) {
        url.path = parsePath(rest.slice(1), url.protocol, []);
    } else {
        url.opaque = encode(rest, '');
    }
    return url;
}

const stripped = (text) => text.replace(/[\t\n\r]/g, '');

function parse(input, base) {
    const [text, query, fragment] = cut(stripped(input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '')));
    const scheme = text.match(/^([a-zA-Z][a-zA-Z0-9+.-]*):/);
    let url;
    if (scheme === null) {
        url = parseRelative(text, query, base);
    } else {
        const protocol = scheme[0].toLowerCase(), rest = text.slice(scheme[0].length);
        if (protocol === 'file:') {
            url = parseFile(rest, query, base?.protocol === 'file:' ? base : null);
        } else {
            const relative = isSpecial(protocol) && base !== null && base.protocol === protocol && !/^[\\/]{2}/.test(rest);
            url = relative ? parseRelative(rest, query, base) : parseAfterScheme(emptyUrl(protocol), rest);
        }
    }
    if (url === null) return null;
    if (url.opaque !== null && scheme !== null && (query !== null || fragment !== null)) {
        url.opaque = url.opaque.replace(/ $/, '%20');
    }
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

const usv = (value) => String(value).toWellFormed();

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
                this.#pairs.push([usv(two[0]), usv(two[1])]);
            }
        } else {
            this.#pairs = formParse(usv(init).replace(/^\?/, ''));
        }
    }
    #update() { if (this.#changed !== null) this.#changed(this.toString()); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([usv(name), usv(value)]); this.#update(); }
    delete(name, value) {
        name = usv(name);
        if (value !== undefined) value = usv(value);
        this.#pairs = this.#pairs.filter(([n, v]) => n !== name || (value !== undefined && v !== value));
        this.#update();
    }
    get(name) {
        name = usv(name);
        return this.#pairs.find(([n]) => n === name)?.[1] ?? null;
    }
    getAll(name) {
        name = usv(name);
        return this.#pairs.filter(([n]) => n === name).map(([, v]) => v);
    }
    has(name, value) {
        name = usv(name);
        if (value !== undefined) value = usv(value);
        return this.#pairs.some(([n, v]) => n === name && (value === undefined || v === value));
    }
    set(name, value) {
        name = usv(name);
        value = usv(value);
        const at = this.#pairs.findIndex(([n]) => n === name);
        if (at < 0) {
            this.#pairs.push([name, value]);
        } else {
            this.#pairs[at][1] = value;
            this.#pairs = this.#pairs.filter(([n], i) => i <= at || n !== name);
        }
        this.#update();
    }
    sort() { this.#pairs.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0); this.#update(); }
    forEach(callback, self) {
        if (typeof callback !== 'function') throw new TypeError('URLSearchParams.forEach: not a function');
        for (const [name, value] of this) callback.call(self, value, name, this);
    }
    /* By number, so that changes on the way are seen. */
    *entries() { for (let i = 0; i < this.#pairs.length; i++) yield [...this.#pairs[i]]; }
    *keys() { for (const [name] of this.entries()) yield name; }
    *values() { for (const [, value] of this.entries()) yield value; }
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
        const { protocol, host, port, opaque } = this.#url;
        if (protocol === 'blob:') {
            const inner = opaque === null ? null : parse(opaque, null);
            return inner !== null && /^https?:$/.test(inner.protocol) ? new URL(serialize(inner)).origin : 'null';
        }
        return isSpecial(protocol) && protocol !== 'file:' ? `${protocol}//${host}${port !== '' ? ':' + port : ''}` : 'null';
    }
    get protocol() { return this.#url.protocol; }
    set protocol(value) {
        const scheme = stripped(usv(value)).match(/^([a-zA-Z][a-zA-Z0-9+.-]*)(:|$)/), url = this.#url;
        if (scheme === null) return;
        const protocol = scheme[1].toLowerCase() + ':';
        if (isSpecial(protocol) !== isSpecial(url.protocol)) return;
        if (protocol === 'file:' && (url.username !== '' || url.password !== '' || url.port !== '')) return;
        if (url.protocol === 'file:' && url.host === '') return;
        url.protocol = protocol;
        if (url.port === SPECIAL[protocol]) url.port = '';
    }
    /* Of user, password and port. */
    #hasAuthority() { return Boolean(this.#url.host) && this.#url.protocol !== 'file:'; }
    get username() { return this.#url.username; }
    set username(value) { if (this.#hasAuthority()) this.#url.username = encode(usv(value), USERINFO); }
    get password() { return this.#url.password; }
    set password(value) { if (this.#hasAuthority()) this.#url.password = encode(usv(value), USERINFO); }
    get host() { return (this.#url.host ?? '') + (this.#url.port !== '' ? ':' + this.#url.port : ''); }
    /* The text up to what ends a host; undefined if it may not be set. */
    #hostText(value) {
        if (this.#url.opaque !== null) return undefined;
        return stripped(usv(value)).match(isSpecial(this.#url.protocol) ? /^[^/?#\\]*/ : /^[^/?#]*/)[0];
    }
    #setHost(text) {
        const url = this.#url, special = isSpecial(url.protocol);
        if (text === '') {
            if (special && url.protocol !== 'file:') return false;
            if (url.username !== '' || url.password !== '' || url.port !== '') return false;
        }
        const host = text === '' ? '' : parseHost(text, special);
        if (host === undefined) return false;
        url.host = url.protocol === 'file:' && host === 'localhost' ? '' : host;
        return true;
    }
    set host(value) {
        const text = this.#hostText(value);
        if (text === undefined) return;
        const port = text.match(/^((?:\[[^\]]*\]|[^:[])*):(.*)$/);
        if (port === null || this.#url.protocol === 'file:') {
            this.#setHost(text);
        } else if (port[1] !== '' && this.#setHost(port[1])) {
            const digits = port[2].match(/^[0-9]*/)[0];
            if (digits !== '') setPort(this.#url, digits);
        }
    }
    get hostname() { return this.#url.host ?? ''; }
    set hostname(value) {
        const text = this.#hostText(value);
        if (text === undefined || /^(\[[^\]]*\]|[^:[])*:/.test(text)) return;
        this.#setHost(text);
    }
    get port() { return this.#url.port; }
    set port(value) {
        if (!this.#hasAuthority()) return;
        const text = stripped(usv(value)), digits = text.match(/^[0-9]*/)[0];
        if (digits !== '' || usv(value) === '') setPort(this.#url, digits);
    }
    get pathname() { return pathname(this.#url); }
    set pathname(value) {
        const url = this.#url, text = stripped(usv(value));
        if (url.opaque !== null) return;
        if (text === '' && !isSpecial(url.protocol)) url.path = url.host === null ? [''] : [];
        else url.path = parsePath(text.replace(isSpecial(url.protocol) ? /^[/\\]/ : /^\//, ''), url.protocol, []);
    }
    get search() { return this.#url.query ? '?' + this.#url.query : ''; }
    set search(value) {
        const text = usv(value);
        this.#url.query = text === '' ? null
            : encode(stripped(text.replace(/^\?/, '')), isSpecial(this.#url.protocol) ? SPECIAL_QUERY : QUERY);
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
        const text = usv(value);
        this.#url.fragment = text === '' ? null : encode(stripped(text.replace(/^#/, '')), FRAGMENT);
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
    get [Symbol.toStringTag]() { return 'URL'; }
}

return { URL, URLSearchParams };
})
