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

class TextDecoder {
    #fatal;
    #ignoreBOM;
    constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
        if (!['utf-8', 'utf8', 'unicode-1-1-utf-8'].includes(String(label).trim().toLowerCase())) {
            throw new RangeError(`TextDecoder: only utf-8 is known, not ${label}`);
        }
        this.#fatal = Boolean(fatal);
        this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() { return 'utf-8'; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input, { stream = false } = {}) {
        if (stream) throw new TypeError('TextDecoder: streaming is not supported');
        if (input === undefined) return '';
        let view;
        if (input instanceof Uint8Array) view = input;
        else if (ArrayBuffer.isView(input)) view = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
        else if (input instanceof ArrayBuffer) view = new Uint8Array(input);
        else throw new TypeError('TextDecoder: not an ArrayBuffer or a view of one');
        const text = host.utf8Decode(view, this.#fatal);
        if (text === null) throw new TypeError('TextDecoder: the bytes are not valid utf-8');
        return !this.#ignoreBOM && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const VALUES = new Map([...ALPHABET].map((character, index) => [character, index]));

function invalidCharacter(text) {
    const error = new Error(text);
    error.name = 'InvalidCharacterError';
    return error;
}

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
        if (!ArrayBuffer.isView(array) || array instanceof DataView || array instanceof Float32Array ||
            array instanceof Float64Array) {
            throw new TypeError('getRandomValues: not an array of integers');
        }
        if (array.byteLength > 65536) throw new RangeError('getRandomValues: more than 65536 bytes');
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
