/* SPDX-License-Identifier: MIT */
/*
 * The parts of the web platform that scripts may use: text encoding, base64, crypto. Pure
 * functions over `host`; evaluated once per realm, then frozen with everything else.
 */
(function (host) {
'use strict';

class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(input = '') { return host.utf8Encode(String(input)); }
    encodeInto(source, target) {
        if (!(target instanceof Uint8Array)) throw new TypeError('encodeInto: the target is not a Uint8Array');
        let read = 0, written = 0;
        for (const character of String(source)) {
            const part = host.utf8Encode(character);
            if (written + part.length > target.length) break;
            target.set(part, written);
            written += part.length;
            read += character.length;
        }
        return { read, written };
    }
}

/* Bytes at the end of `view` that begin a character and do not end it: 0 to 3. */
function unfinished(view) {
    for (let back = 1; back <= 3 && back <= view.length; back++) {
        const byte = view[view.length - back];
        if (byte >= 0x80 && byte < 0xc0) continue;
        const size = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
        if (byte >= 0xf5 || size <= back) return 0;
        const second = back > 1 ? view[view.length - back + 1] : 0x90;
        const wrong = byte === 0xe0 ? second < 0xa0 && back > 1 : byte === 0xed ? second > 0x9f
            : byte === 0xf0 ? second < 0x90 : byte === 0xf4 ? second > 0x8f && back > 1 : false;
        return wrong ? 0 : back;
    }
    return 0;
}

function joined(a, b) {
    const all = new Uint8Array(a.length + b.length);
    all.set(a);
    all.set(b, a.length);
    return all;
}

const EMPTY = new Uint8Array(0);

class TextDecoder {
    #fatal;
    #ignoreBOM;
    #rest = EMPTY;  /* of a stream: bytes that wait for the others of their character */
    #begun = false; /* of a stream: what comes is not its begin */
    constructor(label = 'utf-8', options = {}) {
        if (!['utf-8', 'utf8', 'unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8', 'x-unicode20utf8']
            .includes(String(label).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, '').toLowerCase())) {
            throw new RangeError(`TextDecoder: only utf-8 is known, not ${label}`);
        }
        this.#fatal = Boolean(options?.fatal);
        this.#ignoreBOM = Boolean(options?.ignoreBOM);
    }
    get encoding() { return 'utf-8'; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input = EMPTY, options = {}) {
        let view;
        if (input instanceof Uint8Array) view = input;
        else if (ArrayBuffer.isView(input)) view = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
        else if (input instanceof ArrayBuffer) view = new Uint8Array(input);
        else throw new TypeError('TextDecoder: not an ArrayBuffer or a view of one');
        const stream = Boolean(options?.stream), begun = this.#begun;
        if (this.#rest.length > 0) view = joined(this.#rest, view);
        const kept = stream ? unfinished(view) : 0;
        this.#rest = kept > 0 ? view.slice(view.length - kept) : EMPTY;
        if (kept > 0) view = view.subarray(0, view.length - kept);
        this.#begun = stream && (begun || view.length > 0);
        const text = host.utf8Decode(view, this.#fatal);
        if (text === null) {
            this.#rest = EMPTY;
            this.#begun = false;
            throw new TypeError('TextDecoder: the bytes are not valid utf-8');
        }
        return !this.#ignoreBOM && !begun && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = new Map([...ALPHABET].map((character, index) => [character, index]));

/* What the web throws as DOMException: an Error of that name. */
function named(name, text) {
    const error = new Error(text);
    error.name = name;
    return error;
}
const invalidCharacter = (text) => named('InvalidCharacterError', text);
const INTEGERS = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    BigInt64Array, BigUint64Array];

function btoa(input) {
    const text = String(input);
    let out = '';
    for (let i = 0; i < text.length; i += 3) {
        const left = text.length - i;
        const a = text.charCodeAt(i), b = left > 1 ? text.charCodeAt(i + 1) : 0, c = left > 2 ? text.charCodeAt(i + 2) : 0;
        if (a > 255 || b > 255 || c > 255) throw invalidCharacter('btoa: a character above U+00FF');
        const word = a << 16 | b << 8 | c;
        out += ALPHABET[word >> 18] + ALPHABET[word >> 12 & 63] +
            (left > 1 ? ALPHABET[word >> 6 & 63] : '=') + (left > 2 ? ALPHABET[word & 63] : '=');
    }
    return out;
}

function atob(input) {
    let text = String(input).replace(/[\t\n\f\r ]/g, '');
    if (text.length % 4 === 0) text = text.replace(/==?$/, '');
    if (text.length % 4 === 1) throw invalidCharacter('atob: not base64');
    let out = '', word = 0, bits = 0;
    for (let i = 0; i < text.length; i++) {
        const value = VALUES.get(text[i]);
        if (value === undefined) throw invalidCharacter('atob: not base64');
        word = (word << 6 | value) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += String.fromCharCode(word >> bits & 255);
        }
    }
    return out;
}

const crypto = {
    getRandomValues(array) {
        if (!ArrayBuffer.isView(array)) throw new TypeError('getRandomValues: not an array of integers');
        if (!INTEGERS.some((type) => array instanceof type)) {
            throw named('TypeMismatchError', 'getRandomValues: not an array of integers');
        }
        if (array.byteLength > 65536) throw named('QuotaExceededError', 'getRandomValues: more than 65536 bytes');
        host.random(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
        return array;
    },
    randomUUID() {
        const bytes = new Uint8Array(16);
        host.random(bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
        return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
};

return { TextEncoder, TextDecoder, atob, btoa, crypto };
})
