/* SPDX-License-Identifier: MIT */
/*
 * What runs in every realm before any script: the conversion between values and the wire that
 * tape.c writes and reads, our own Promise, the call itself, and the lock on everything shared.
 *
 * The wire is an array of 32-bit words in pre-order, doubles beside it, binary bytes beside that,
 * and all strings joined to one text, in order. The low four bits of a word are the kind, the rest
 * its argument. The constants must be those of tape.h.
 *
 * Evaluated once as a function of `host` (native functions, see host.c). Scripts never see this
 * scope; after lock() nothing in the realm can be changed, so what is used here stays what it was.
 */
(function (host, webFactory, urlFactory) {
'use strict';

const NULL = 0, FALSE = 1, TRUE = 2, INT32 = 3, FLOAT = 4, INT64 = 5, UINT64 = 6, STRING = 7,
    BINARY = 8, LIST = 9, MAP = 10, SHAPE = 11, ERROR = 12, TIME = 13, DURATION = 14, ABSENT = 15;
const DEPTH_MAX = 120, BODY_DEPTH_MAX = 3;
const WORDS_SMALL = 4096, WORDS_KEPT = 65536, BYTES_SMALL = 4096, BYTES_KEPT = 262144;

const ObjectPrototype = Object.prototype;
const { create, getPrototypeOf, setPrototypeOf, keys, freeze, defineProperty, getOwnPropertyDescriptor,
    getOwnPropertyNames, getOwnPropertySymbols } = Object;
const { isArray } = Array;
const { isView } = ArrayBuffer;
const { apply, ownKeys } = Reflect;
const { isSafeInteger } = Number;
const Native = { Promise: globalThis.Promise, Error, Map, Set, Date, ArrayBuffer, Uint8Array,
    Uint8ClampedArray, DataView, Number, String, Boolean, BigInt };

/* ---- From the wire ---------------------------------------------------------------------- */

let inWords = new Int32Array(1), inFloats = new Float64Array(1), inBytes = new Uint8Array(1);
let inText = '', ip = 0, fp = 0, bp = 0, tp = 0;
const shapes = [];

/* An error payload: what a node's error port hands on. */
class FlowError extends Error {
    error() { return this.message; }
}
defineProperty(FlowError.prototype, 'name', { value: 'FlowError', writable: true, configurable: true });
const FlowErrorPrototype = FlowError.prototype;

function hidden(object, key, value) {
    defineProperty(object, key, { value, writable: true, configurable: true, enumerable: false });
}

function readError() {
    const error = create(FlowErrorPrototype);
    hidden(error, 'code', read());
    hidden(error, 'message', read());
    const cause = read(), data = read(), status = read();
    if (cause !== null) hidden(error, 'cause', cause);
    if (data !== null) hidden(error, 'data', data);
    if (status !== null) hidden(error, 'status', status);
    if (error.code === 'bad_body') badBody = error;
    return error;
}

/*
 * A body that does not parse is an error for those who read it, not for those who do not look: where it
 * stands, a look throws.
 */
let badBody = null;

function badBodyGuard(map, level) {
    if (typeof map !== 'object' || map === null || getPrototypeOf(map) !== ObjectPrototype) return;
    for (const key of keys(map)) {
        if (map[key] !== badBody) {
            if (level < BODY_DEPTH_MAX) badBodyGuard(map[key], level + 1);
            continue;
        }
        const error = badBody;
        defineProperty(map, key, {
            get() { throw error; },
            set(value) { defineProperty(this, key, { value, writable: true, enumerable: true, configurable: true }); },
            enumerable: true,
            configurable: true,
        });
    }
}

function readInput() {
    badBody = null;
    const input = read();
    if (badBody !== null) badBodyGuard(input, 0);
    return input;
}

function readList(n) {
    const list = [];
    for (let i = 0; i < n; i++) list.push(read());
    return list;
}

function readMap(n) {
    const map = {};
    for (let i = 0; i < n; i++) {
        const key = inText.slice(tp, tp += inWords[ip++] >>> 4);
        if (key === '__proto__') {
            defineProperty(map, key, { value: read(), writable: true, configurable: true, enumerable: true });
        } else {
            map[key] = read();
        }
    }
    return map;
}

function read() {
    const word = inWords[ip++];
    switch (word & 15) {
    case NULL: return null;
    case FALSE: return false;
    case TRUE: return true;
    case INT32: return inWords[ip++];
    case FLOAT: return inFloats[fp++];
    case STRING: return inText.slice(tp, tp += word >>> 4);
    case LIST: return readList(word >>> 4);
    case SHAPE: return shapes[word >>> 4](read);
    case MAP: return readMap(word >>> 4);
    case INT64: {
        const low = Native.BigInt(inWords[ip++] >>> 0);
        return (Native.BigInt(inWords[ip++]) << 32n) | low;
    }
    case UINT64: {
        const low = Native.BigInt(inWords[ip++] >>> 0);
        return (Native.BigInt(inWords[ip++] >>> 0) << 32n) | low;
    }
    case BINARY: return inBytes.slice(bp, bp += word >>> 4);
    case ERROR: return readError();
    case TIME: return new Date(inFloats[fp++]);
    case DURATION: return inFloats[fp++];
    case ABSENT: return undefined;
    }
    throw new Error('bad wire');
}

/* ---- To the wire ------------------------------------------------------------------------ */

let words = new Int32Array(WORDS_SMALL), floats = new Float64Array(64), bytes = new Uint8Array(BYTES_SMALL);
let wp = 0, fo = 0, bo = 0, text = '', depth = 0, sizeMax = 0;
host.buffers(words, floats, bytes);

function tooLarge() {
    const error = new RangeError('the result is larger than the memory of the script');
    hidden(error, 'code', 'script_memory');
    return error;
}

function grown(array, Type, need) {
    let size = array.length;
    while (size < need) size *= 2;
    if (size * Type.BYTES_PER_ELEMENT > sizeMax) throw tooLarge();
    const next = new Type(size);
    next.set(array);
    return next;
}

function growWords() {
    words = grown(words, Int32Array, wp + 64);
    host.buffers(words, floats, bytes);
}

/* One word; there is always room for seven more behind it. */
function put(word) {
    if (wp + 8 > words.length) growWords();
    words[wp++] = word;
}

function putFloat(kind, value) {
    if (fo === floats.length) {
        floats = grown(floats, Float64Array, fo + 1);
        host.buffers(words, floats, bytes);
    }
    floats[fo++] = value;
    put(kind);
}

function putString(value) {
    const size = value.length;
    put(STRING | size << 4);
    text += value;
    if (text.length > sizeMax) throw tooLarge();
}

function putNumber(value) {
    if ((value | 0) === value) {
        put(INT32);
        words[wp++] = value;
    } else {
        putFloat(FLOAT, value);
    }
}

function putBigInt(value) {
    const signed = Native.BigInt.asIntN(64, value);
    if (signed !== value && Native.BigInt.asUintN(64, value) !== value) {
        throw new RangeError('an integer of the result does not fit in 64 bits');
    }
    put(signed === value ? INT64 : UINT64);
    words[wp++] = Native.Number(Native.BigInt.asIntN(32, value));
    words[wp++] = Native.Number(Native.BigInt.asIntN(32, value >> 32n));
}

function putBytes(view) {
    const size = view.length;
    if (bo + size > bytes.length) {
        bytes = grown(bytes, Uint8Array, bo + size);
        host.buffers(words, floats, bytes);
    }
    bytes.set(view, bo);
    bo += size;
    put(BINARY | size << 4);
}

/*
 * Shapes of results: for rows of keys that come again, a function is compiled that writes the values
 * without their keys (see shape.c). Found by the first key; a row must be seen twice.
 */
const SHAPES_MAX = 512, SHAPE_KEYS_MAX = 64, SHAPES_SAME_MAX = 8;
let outShapes = new Native.Map(), outSeen = new Set(), outCount = 0;

function shapeLearn(names, rows) {
    if (outCount >= SHAPES_MAX || names.length > SHAPE_KEYS_MAX || rows?.length >= SHAPES_SAME_MAX) return;
    const row = names.join('\n');
    if (!outSeen.has(row)) {
        if (outSeen.size < SHAPES_MAX * 4) outSeen.add(row);
        return;
    }
    const found = { names, write: null, id: -1 };
    if (!host.shape(names, found)) return;
    outCount++;
    if (rows === undefined) outShapes.set(names[0], [found]);
    else rows.push(found);
}

/* One value of a shape. */
function writeSlot(value) {
    switch (typeof value) {
    case 'string': return putString(value);
    case 'number': return putNumber(value);
    case 'boolean': return put(value ? TRUE : FALSE);
    case 'object': return value === null ? put(NULL) : writeObject(value);
    case 'bigint': return putBigInt(value);
    default: return put(ABSENT);
    }
}

function putShape(object, names) {
    const n = names.length, rows = outShapes.get(names[0]);
    if (rows !== undefined) {
        for (let s = 0; s < rows.length; s++) {
            const shape = rows[s], known = shape.names;
            if (known.length !== n) continue;
            let i = 0;
            while (i < n && known[i] === names[i]) i++;
            if (i < n) continue;
            put(SHAPE | shape.id << 4);
            shape.write(object, writeSlot);
            return true;
        }
    }
    shapeLearn(names, rows);
    return false;
}

/* A map whose number of pairs is known only afterwards. */
function putPlain(object, names) {
    if (names.length > 0 && names.length <= SHAPE_KEYS_MAX && putShape(object, names)) return;
    put(MAP);
    const at = wp - 1;
    let n = 0;
    for (let i = 0; i < names.length; i++) {
        const key = names[i];
        const value = object[key];
        const type = typeof value;
        if (type === 'string') {
            putString(key);
            putString(value);
        } else if (value === undefined || type === 'function' || type === 'symbol') {
            continue;
        } else {
            putString(key);
            if (type === 'number') putNumber(value);
            else write(value);
        }
        n++;
    }
    words[at] = MAP | n << 4;
}

function putList(list) {
    const n = list.length;
    if (n >= 1 << 26) throw tooLarge();
    put(LIST | n << 4);
    for (let i = 0; i < n; i++) write(list[i]);
}

function putMap(map) {
    put(MAP | map.size << 4);
    map.forEach((value, key) => {
        putString(Native.String(key));
        write(value);
    });
}

function putEntry(value) {
    if (value === undefined || value === null) put(NULL);
    else write(value);
}

/* Where a stack says that a script was: [line, column] of the text that the realm was given. */
function position(error) {
    if (error instanceof Native.Error) {
        const url = error.sourceURL;
        if (typeof url === 'string' && url.startsWith('script:')) return [error.line | 0, error.column | 0];
        const stack = error.stack;
        if (typeof stack === 'string') {
            for (const frame of stack.split('\n', 64)) {
                if (!frame.includes('script:')) continue;
                const parts = frame.split(':');
                const column = Native.Number(parts.pop()), line = Native.Number(parts.pop());
                if (line > 0) return [line | 0, column | 0];
            }
        }
    }
    return [0, 0];
}

function putError(error) {
    const { code, message, cause, data, status } = error;
    const flow = error instanceof FlowError;
    const [line, column] = flow ? [0, 0] : position(error);
    const name = error.name;
    put(ERROR);
    words[wp++] = line;
    words[wp++] = column;
    putString(flow ? '' : typeof name === 'string' ? name : 'Error');
    putString(typeof code === 'string' && code.length < 256 ? code : 'script_error');
    putString(typeof message === 'string' ? message : describe(message));
    if (cause === undefined || cause === null) put(NULL);
    else if (cause instanceof Native.Error) write(cause);
    else writeThrown(cause);
    if (data === undefined) put(NULL);
    else write(data);
    if (typeof status === 'number' && status >= 100 && status <= 599) putNumber(status | 0);
    else put(NULL);
}

function describe(value) {
    try {
        return typeof value === 'string' ? value : inspect(value);
    } catch (_) {
        return 'a value that cannot be shown';
    }
}

/* What was thrown and is no Error. */
function writeThrown(value) {
    put(ERROR);
    words[wp++] = 0;
    words[wp++] = 0;
    putString('');
    putString('script_error');
    putString(describe(value));
    put(NULL);
    if (typeof value === 'object' && value !== null) write(value);
    else putEntry(typeof value === 'string' || typeof value === 'symbol' ? null : value);
    put(NULL);
}

function writeOther(value) {
    if (isArray(value)) return putList(value);
    if (value instanceof Native.Error) return putError(value);
    if (value instanceof Native.Date) {
        const time = value.getTime();
        return time === time ? putFloat(TIME, time) : put(NULL);
    }
    if (isView(value)) {
        if (value instanceof Native.Uint8Array) return putBytes(value);
        if (value instanceof Native.DataView || value instanceof Native.Uint8ClampedArray) {
            return putBytes(new Native.Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        }
        return putList(value);
    }
    if (value instanceof Native.ArrayBuffer) return putBytes(new Native.Uint8Array(value));
    if (value instanceof Native.Map) return putMap(value);
    if (value instanceof Native.Set) return putList([...value]);
    if (value instanceof Promise) throw new TypeError('a Promise inside the result: await it first');
    if (typeof value.toJSON === 'function') return write(value.toJSON());
    if (value instanceof Native.Number || value instanceof Native.String ||
        value instanceof Native.Boolean || value instanceof Native.BigInt) {
        return write(value.valueOf());
    }
    return putPlain(value, keys(value));
}

function writeObject(value) {
    if (++depth > DEPTH_MAX) throw new RangeError('the result is nested too deeply, or contains itself');
    if (getPrototypeOf(value) === ObjectPrototype) {
        const names = keys(value);
        if (names.includes('toJSON') && typeof value.toJSON === 'function') write(value.toJSON());
        else putPlain(value, names);
    } else {
        writeOther(value);
    }
    depth--;
}

function write(value) {
    switch (typeof value) {
    case 'string': return putString(value);
    case 'number': return putNumber(value);
    case 'boolean': return put(value ? TRUE : FALSE);
    case 'object': return value === null ? put(NULL) : writeObject(value);
    case 'bigint': return putBigInt(value);
    default: return put(NULL);
    }
}

function reset() {
    wp = 2;
    fo = 0;
    bo = 0;
    depth = 0;
    text = '';
}

function finish(failed) {
    words[0] = wp;
    words[1] = failed;
    const result = text;
    text = '';
    return result;
}

/* Give large buffers back after a large result. */
function shrink() {
    if (words.length <= WORDS_KEPT && floats.length <= WORDS_KEPT && bytes.length <= BYTES_KEPT) return;
    words = new Int32Array(WORDS_SMALL);
    floats = new Float64Array(64);
    bytes = new Uint8Array(BYTES_SMALL);
    host.buffers(words, floats, bytes);
}

/* ---- Promise ---------------------------------------------------------------------------- */

/*
 * The engine drains jobs of its own Promise outside the time limit, where nothing ends them. This
 * one is the Promise of ECMA-262 with its jobs in a list that settle() empties inside the call.
 * async functions arrive here as generators, lowered by the compiler.
 */
const PENDING = 0, FULFILLED = 1, REJECTED = 2;
let jobs = [];

function runReaction(reaction, state, value) {
    const handler = state === FULFILLED ? reaction.fulfilled : reaction.rejected;
    let result;
    try {
        if (typeof handler !== 'function') {
            (state === FULFILLED ? reaction.resolve : reaction.reject)(value);
            return;
        }
        result = handler(value);
    } catch (error) {
        reaction.reject(error);
        return;
    }
    reaction.resolve(result);
}

class Promise {
    #state = PENDING;
    #value = undefined;
    #reactions = [];

    constructor(executor) {
        if (typeof executor !== 'function') throw new TypeError('Promise: the executor is not a function');
        const { resolve, reject } = this.#resolvers();
        try {
            executor(resolve, reject);
        } catch (error) {
            reject(error);
        }
    }

    #resolvers() {
        let done = false;
        return {
            resolve: (value) => {
                if (done) return;
                done = true;
                this.#resolve(value);
            },
            reject: (reason) => {
                if (done) return;
                done = true;
                this.#settle(REJECTED, reason);
            },
        };
    }

    #resolve(value) {
        if (value === this) return this.#settle(REJECTED, new TypeError('a Promise cannot resolve itself'));
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
            return this.#settle(FULFILLED, value);
        }
        let then;
        try {
            then = value.then;
        } catch (error) {
            return this.#settle(REJECTED, error);
        }
        if (typeof then !== 'function') return this.#settle(FULFILLED, value);
        const { resolve, reject } = this.#resolvers();
        jobs.push(() => {
            try {
                apply(then, value, [resolve, reject]);
            } catch (error) {
                reject(error);
            }
        });
    }

    #settle(state, value) {
        this.#state = state;
        this.#value = value;
        const reactions = this.#reactions;
        this.#reactions = null;
        for (let i = 0; i < reactions.length; i++) {
            const reaction = reactions[i];
            jobs.push(() => runReaction(reaction, state, value));
        }
    }

    then(fulfilled, rejected) {
        const { promise, resolve, reject } = capability(this.constructor[Symbol.species] ?? Promise);
        const reaction = { fulfilled, rejected, resolve, reject };
        if (this.#state === PENDING) {
            this.#reactions.push(reaction);
        } else {
            const state = this.#state, value = this.#value;
            jobs.push(() => runReaction(reaction, state, value));
        }
        return promise;
    }

    catch(rejected) { return this.then(undefined, rejected); }

    finally(callback) {
        if (typeof callback !== 'function') return this.then(callback, callback);
        const type = this.constructor;
        return this.then(
            (value) => type.resolve(callback()).then(() => value),
            (reason) => type.resolve(callback()).then(() => { throw reason; }));
    }

    static get [Symbol.species]() { return this; }

    static resolve(value) {
        if (value instanceof Promise && value.constructor === this) return value;
        const { promise, resolve } = capability(this);
        resolve(value);
        return promise;
    }

    static reject(reason) {
        const { promise, reject } = capability(this);
        reject(reason);
        return promise;
    }

    static withResolvers() { return capability(this); }

    static try(callback, ...args) {
        return new this((resolve) => resolve(callback(...args)));
    }

    static #collect(type, iterable, each) {
        return new type((resolve, reject) => {
            const values = [];
            let left = 1, index = 0;
            const end = () => { if (--left === 0) each.end(values, resolve, reject); };
            for (const item of iterable) {
                const at = index++;
                left++;
                values[at] = undefined;
                each.item(type.resolve(item), values, at, end, resolve, reject);
            }
            end();
        });
    }

    static all(iterable) {
        return Promise.#collect(this, iterable, {
            item(promise, values, at, end, resolve, reject) {
                promise.then((value) => { values[at] = value; end(); }, reject);
            },
            end(values, resolve) { resolve(values); },
        });
    }

    static allSettled(iterable) {
        return Promise.#collect(this, iterable, {
            item(promise, values, at, end) {
                promise.then((value) => { values[at] = { status: 'fulfilled', value }; end(); },
                    (reason) => { values[at] = { status: 'rejected', reason }; end(); });
            },
            end(values, resolve) { resolve(values); },
        });
    }

    static any(iterable) {
        return Promise.#collect(this, iterable, {
            item(promise, values, at, end, resolve) {
                promise.then(resolve, (reason) => { values[at] = reason; end(); });
            },
            end(values, resolve, reject) { reject(new AggregateError(values, 'all promises were rejected')); },
        });
    }

    static race(iterable) {
        return new this((resolve, reject) => {
            for (const item of iterable) this.resolve(item).then(resolve, reject);
        });
    }

    /* For settle(): [state, value] without a trace. */
    static look(promise) { return [promise.#state, promise.#value]; }
}
const look = Promise.look;
delete Promise.look;
defineProperty(Promise.prototype, Symbol.toStringTag, { value: 'Promise', configurable: true });

function capability(type) {
    let resolve, reject;
    const promise = new type((a, b) => { resolve = a; reject = b; });
    return { promise, resolve, reject };
}

/* Run jobs until `result` is settled; what is queued behind it is dropped with the call. */
function settle(result) {
    const promise = Promise.resolve(result);
    for (;;) {
        const batch = jobs;
        if (batch.length === 0) break;
        jobs = [];
        for (let i = 0; i < batch.length; i++) {
            batch[i]();
            if (look(promise)[0] !== PENDING) break;
        }
        if (look(promise)[0] !== PENDING) break;
    }
    const [state, value] = look(promise);
    if (state === FULFILLED) return value;
    if (state === REJECTED) throw value;
    throw new Error('the result is a Promise that nothing can settle any more');
}

/* ---- Console ---------------------------------------------------------------------------- */

const INSPECT_DEPTH = 4, INSPECT_ITEMS = 100, LOG_LINES_MAX = 100, LOG_SIZE_MAX = 4000, GROUP_DEPTH_MAX = 20;
let logLines = 0;

function inspectObject(value, level, seen) {
    if (seen.includes(value)) return '[Circular]';
    if (value instanceof Native.Error) return `${value.name}: ${value.message}`;
    if (value instanceof Native.Date) return Native.Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
    if (level > INSPECT_DEPTH) return isArray(value) ? '[Array]' : '[Object]';
    seen = [...seen, value];
    if (isView(value) && !(value instanceof Native.DataView)) value = [...value.subarray(0, INSPECT_ITEMS)];
    if (value instanceof Native.Map) value = [...value];
    if (value instanceof Native.Set) value = [...value];
    if (isArray(value)) {
        return `[${value.slice(0, INSPECT_ITEMS).map((item) => inspect(item, level + 1, seen)).join(', ')}]`;
    }
    const pairs = keys(value).slice(0, INSPECT_ITEMS).map((key) =>
        `${JSON.stringify(key)}: ${inspect(value[key], level + 1, seen)}`);
    return `{${pairs.join(', ')}}`;
}

function inspect(value, level = 0, seen = []) {
    switch (typeof value) {
    case 'string': return level === 0 ? value : JSON.stringify(value);
    case 'object': return value === null ? 'null' : inspectObject(value, level, seen);
    case 'function': return `[Function ${value.name}]`;
    case 'bigint': return `${value}n`;
    default: return Native.String(value);
    }
}

/* The Console Standard (console.spec.whatwg.org), 2.2: only a first text with more behind it is a format. */
function formatted(args) {
    if (typeof args[0] !== 'string' || args.length < 2 || !args[0].includes('%')) return args;
    let next = 1;
    const text = args[0].replace(/%[sdifoOc%]/g, (mark) => {
        if (mark === '%%') return '%';
        if (next === args.length) return mark;
        const value = args[next++];
        switch (mark) {
        case '%s': return describe(value);
        case '%c': return '';
        case '%o':
        case '%O': return inspect(value, 1);
        default: break;
        }
        if (typeof value === 'bigint' && mark !== '%f') return `${value}`;
        if (typeof value === 'symbol') return 'NaN';
        return `${mark === '%f' ? Native.Number.parseFloat(value) : Native.Number.parseInt(value, 10)}`;
    });
    return [text, ...args.slice(next)];
}

/* Groups, counters and timers of the call that runs; NULL until one is used. */
let consoleState = null;
const consoleUse = () => consoleState ??= { indent: '', counts: new Native.Map(), timers: new Native.Map() };

function consoleLine(args) {
    try {
        return formatted(args).map((arg) => describe(arg)).join(' ');
    } catch (_) {
        return 'a value that cannot be shown';
    }
}

function logText(level, text) {
    if (++logLines > LOG_LINES_MAX) return;
    const last = logLines === LOG_LINES_MAX ? ' (further lines of this call are dropped)' : '';
    host.log(level, ((consoleState?.indent ?? '') + text).slice(0, LOG_SIZE_MAX) + last);
}

const logAt = (level) => (...args) => {
    if (logLines <= LOG_LINES_MAX) logText(level, consoleLine(args));
};

function consoleTimer(label, args, end) {
    const { timers } = consoleUse(), start = timers.get(label);
    if (start === undefined) return logText(2, `${label}: no such timer`);
    if (end) timers.delete(label);
    logText(1, [`${label}: ${Date.now() - start} ms`, ...args.map((arg) => describe(arg))].join(' '));
}

const consoleObject = { debug: logAt(0), trace: logAt(0), log: logAt(1), info: logAt(1), dir: (value) => logText(1, describe(value)),
    dirxml: logAt(1), table: (value) => logText(1, describe(value)), warn: logAt(2), error: logAt(3), clear() {},
    assert(condition, ...args) {
        if (condition) return;
        if (typeof args[0] === 'string') args[0] = `assertion failed: ${args[0]}`;
        else args.unshift('assertion failed');
        consoleObject.error(...args);
    },
    group(...args) {
        if (args.length > 0) consoleObject.log(...args);
        if (consoleUse().indent.length < GROUP_DEPTH_MAX * 2) consoleState.indent += '  ';
    },
    groupCollapsed(...args) { consoleObject.group(...args); },
    groupEnd() { if (consoleState !== null) consoleState.indent = consoleState.indent.slice(2); },
    count(label = 'default') {
        const { counts } = consoleUse(), key = `${label}`, n = (counts.get(key) ?? 0) + 1;
        counts.set(key, n);
        logText(1, `${key}: ${n}`);
    },
    countReset(label = 'default') { consoleUse().counts.delete(`${label}`); },
    time(label = 'default') { consoleUse().timers.set(`${label}`, Date.now()); },
    timeLog(label = 'default', ...args) { consoleTimer(`${label}`, args, false); },
    timeEnd(label = 'default') { consoleTimer(`${label}`, [], true); } };

/* ---- One call --------------------------------------------------------------------------- */

function fail(error) {
    reset();
    try {
        if (error instanceof Native.Error) putError(error);
        else writeThrown(error);
    } catch (_) {
        reset();
        writeThrown('an error was thrown that cannot be read');
    }
    return finish(1);
}

/*
 * Run the module afresh and call its function with `count` values from the wire. Returns the text
 * of the result's wire; words[0] is its size, words[1] is 1 if it is what was thrown.
 */
function enter(factory, env, input, count) {
    inText = input;
    ip = fp = bp = tp = 0;
    logLines = 0;
    consoleState = null;
    if (jobs.length > 0) jobs = [];
    reset();
    try {
        const call = factory(env);
        if (typeof call !== 'function') throw new TypeError('the default export is not a function');
        let result = count === 1 ? call(readInput()) : call(...readList(count));
        if (typeof result === 'object' && result !== null && typeof result.then === 'function') {
            result = settle(result);
        }
        write(result);
        return finish(0);
    } catch (error) {
        return fail(error);
    }
}

/* At load: the module runs once, so that a fault of its top level is known before any request. */
function probe(factory, env) {
    logLines = LOG_LINES_MAX;
    jobs = [];
    reset();
    try {
        if (typeof factory(env) !== 'function') throw new TypeError('the default export is not a function');
        return finish(0);
    } catch (error) {
        return fail(error);
    }
}

/* ---- Locking ---------------------------------------------------------------------------- */

/*
 * A frozen prototype refuses an assignment to an own property of the same name (`error.name = …`).
 * For the names that people do assign, the data property becomes an accessor that defines the own
 * property instead.
 */
function overridable(owner, name) {
    const descriptor = getOwnPropertyDescriptor(owner, name);
    if (descriptor === undefined || !('value' in descriptor) || !descriptor.configurable) return;
    const value = descriptor.value;
    defineProperty(owner, name, {
        get() { return value; },
        set(next) {
            if (this === owner) throw new TypeError(`${Native.String(name)} is read-only`);
            defineProperty(this, name, { value: next, writable: true, configurable: true, enumerable: true });
        },
        enumerable: descriptor.enumerable,
        configurable: true,
    });
}

function hiddenIntrinsics() {
    function* generator() {}
    const list = [getPrototypeOf(generator), getPrototypeOf(Int8Array), getPrototypeOf([][Symbol.iterator]()),
        getPrototypeOf(new Map()[Symbol.iterator]()), getPrototypeOf(new Set()[Symbol.iterator]()),
        getPrototypeOf(''[Symbol.iterator]()), getPrototypeOf(/x/[Symbol.matchAll]('x')),
        getPrototypeOf(async () => {}), getPrototypeOf(async function* () {}),
        getOwnPropertyDescriptor(function () { return arguments; }(), 'callee').get];
    const iterator = globalThis.Iterator;
    if (iterator !== undefined) {
        list.push(getPrototypeOf(iterator.from({ next() {} })), getPrototypeOf([].values().map((x) => x)));
    }
    if (globalThis.Intl?.Segmenter !== undefined) {
        const segments = new Intl.Segmenter().segment('x');
        list.push(getPrototypeOf(segments), getPrototypeOf(segments[Symbol.iterator]()));
    }
    return list;
}

function lockAll(roots) {
    const seen = new Set(), todo = [...roots];
    const visit = (value) => {
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
        seen.add(value);
        todo.push(value);
    };
    roots.forEach((root) => seen.add(root));
    while (todo.length > 0) {
        const object = todo.pop();
        visit(getPrototypeOf(object));
        for (const key of ownKeys(object)) {
            const descriptor = getOwnPropertyDescriptor(object, key);
            if (descriptor === undefined) continue;
            visit(descriptor.value);
            visit(descriptor.get);
            visit(descriptor.set);
        }
        freeze(object);
    }
}

/* ---- Natives without end ------------------------------------------------------------------ */

/*
 * One native call runs to its end whatever the deadline is, so what it works on is bounded: texts and
 * buffers that a script makes, arrays with many holes, keys of arrays of bytes, subjects of regular
 * expressions. Beyond a bound a RangeError says so.
 */
const REPEATS = /[*+]|\{\d+,/;
const LENGTH_MAX = 1 << 22, HOLES_MAX = 1 << 24, KEYS_MAX = 1 << 16, SUBJECT_MAX = 1 << 14,
    DIGITS_MAX = 1 << 14;

function replaceMethod(owner, name, make) {
    const descriptor = getOwnPropertyDescriptor(owner, name);
    if (descriptor === undefined || typeof descriptor.value !== 'function') return;
    const native = descriptor.value, method = make(native);
    for (const key of ['name', 'length']) {
        defineProperty(method, key, getOwnPropertyDescriptor(native, key));
    }
    defineProperty(owner, name, { ...descriptor, value: method });
}

function boundTexts() {
    const check = (size) => {
        if (size > sizeMax) throw new RangeError('a text would be larger than the memory of the script');
    };
    replaceMethod(Native.String.prototype, 'repeat', (native) => ({ repeat(count) {
        if (typeof this === 'string' && count > 0) check(this.length * count);
        return apply(native, this, [count]);
    } }).repeat);
    for (const name of ['padStart', 'padEnd']) {
        replaceMethod(Native.String.prototype, name, (native) => ({ pad(size, fill) {
            if (typeof size === 'object') size = Native.Number(size);
            check(size);
            return apply(native, this, [size, fill]);
        } }).pad);
    }
}

function boundBuffers() {
    const check = (array) => {
        const size = isView(array) ? array.length ?? 0 : array.maxByteLength ?? array.byteLength;
        if (size > LENGTH_MAX) throw new RangeError(`a script may not make arrays of more than ${LENGTH_MAX} items`);
        return array;
    };
    const handler = {
        construct(target, args, type) {
            const first = args[0], options = args[1];
            if (typeof first === 'number' && first > LENGTH_MAX) check({ byteLength: first });
            if (typeof options === 'object' && options?.maxByteLength > LENGTH_MAX) check({ byteLength: options.maxByteLength });
            return check(Reflect.construct(target, args, type));
        },
    };
    for (const name of ['ArrayBuffer', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array',
        'Int32Array', 'Uint32Array', 'Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array']) {
        const type = globalThis[name];
        if (type === undefined) continue;
        const proxy = new Proxy(type, handler);
        define(name, proxy);
        defineProperty(type.prototype, 'constructor', { value: proxy, writable: true, configurable: true });
    }
    const TypedArray = getPrototypeOf(Int8Array);
    defineProperty(TypedArray.prototype, 'toJSON', { value: { toJSON() {
        if (this.length > KEYS_MAX) throw new RangeError(`an array of more than ${KEYS_MAX} bytes as JSON: take parts of it`);
        return { ...this };
    } }.toJSON, writable: true, configurable: true });
}

function boundKeys() {
    const check = (object) => {
        const many = typeof object === 'string' || isView(object) ? object.length > KEYS_MAX
            : isArray(object) && object.length > HOLES_MAX;
        if (many) throw new RangeError('too many keys to list them');
    };
    for (const [owner, names] of [[Object, ['keys', 'values', 'entries', 'getOwnPropertyNames', 'getOwnPropertyDescriptors']],
        [Reflect, ['ownKeys']]]) {
        for (const name of names) {
            replaceMethod(owner, name, (native) => ({ list(object) {
                if (typeof object !== 'object' || isView(object) || isArray(object)) check(object);
                return native(object);
            } }).list);
        }
    }
    replaceMethod(Object, 'assign', (native) => ({ assign(target, ...sources) {
        sources.forEach(check);
        return native(target, ...sources);
    } }).assign);
    replaceMethod(JSON, 'stringify', (native) => ({ stringify(value, replacer, space) {
        if (isArray(value)) check(value);
        return native(value, replacer, space);
    } }).stringify);
}

function boundHoles() {
    for (const name of ['fill', 'join', 'sort', 'reverse', 'copyWithin', 'lastIndexOf', 'toSorted', 'toReversed',
        'toSpliced', 'with', 'splice', 'unshift', 'shift', 'toString', 'toLocaleString']) {
        replaceMethod(Array.prototype, name, (native) => ({ method(...args) {
            if (this?.length > HOLES_MAX) throw new RangeError(`an array of more than ${HOLES_MAX} items`);
            return apply(native, this, args);
        } }).method);
    }
}

/* From text and to text takes the square of the digits; what `${}` and + do by themselves stays: see docs. */
function boundBigInts() {
    const most = 1n << 65536n, valueOf = BigInt.prototype.valueOf;
    /* ToPrimitive of the language, hint number (ECMA-262, 7.1.1). */
    const primitiveOf = (value) => {
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return value;
        const own = value[Symbol.toPrimitive] ?? undefined;
        if (own !== undefined) return apply(own, value, ['number']);
        for (const name of ['valueOf', 'toString']) {
            const method = value[name], result = typeof method === 'function' ? apply(method, value, []) : value;
            if ((typeof result !== 'object' && typeof result !== 'function') || result === null) return result;
        }
        return value;
    };
    const tooLarge = () => new RangeError(`a BigInt of more than ${DIGITS_MAX} digits from text or to text`);
    for (const name of ['toString', 'toLocaleString']) {
        replaceMethod(BigInt.prototype, name, (native) => ({ text(...args) {
            const value = apply(valueOf, this, []);
            if (value > most || value < -most) throw tooLarge();
            return apply(native, value, args);
        } }).text);
    }
    const proxy = new Proxy(BigInt, { apply(target, self, args) {
        const value = primitiveOf(args[0]);
        if (typeof value === 'string' && value.length > DIGITS_MAX) throw tooLarge();
        return target(value);
    } });
    define('BigInt', proxy);
    defineProperty(proxy.prototype, 'constructor', { value: proxy, writable: true, configurable: true });
}

/* A backtracking matcher may need the square of the text, and nothing ends it: see docs. */
function boundSubjects() {
    const source = getOwnPropertyDescriptor(RegExp.prototype, 'source').get;
    const nativeTest = RegExp.prototype.test;
    const check = (regexp, text) => {
        if (typeof text !== 'string') text = Native.String(text);
        if (text.length > SUBJECT_MAX) {
            const pattern = apply(source, regexp, []);
            if (/[*+]|\{\d+,/.test(pattern)) {
                throw new RangeError(`a regular expression with repetition on more than ${SUBJECT_MAX} characters`);
            }
        }
        return text;
    };
    delete RegExp.prototype.compile;
    for (const name of ['exec', 'test', Symbol.match, Symbol.matchAll, Symbol.replace, Symbol.search, Symbol.split]) {
        replaceMethod(RegExp.prototype, name, (native) => ({ method(text, second) {
            return apply(native, this, [check(this, text), second]);
        } }).method);
    }
}

/* What could carry something from one call to the next, block the thread, or escape settle(). */
function removeDangerous() {
    for (const name of ['WeakRef', 'FinalizationRegistry', 'WebAssembly', 'Atomics', 'SharedArrayBuffer',
        'ShadowRealm', 'AsyncDisposableStack', 'gc']) {
        delete globalThis[name];
    }
    delete Array.fromAsync;
    for (const name of getOwnPropertyNames(RegExp)) {
        if (!['length', 'name', 'prototype', 'escape'].includes(name)) delete RegExp[name];
    }
    const left = getOwnPropertyNames(RegExp).filter((name) => !['length', 'name', 'prototype', 'escape'].includes(name));
    if (left.length > 0) throw new Error(`RegExp keeps state between calls: ${left}`);
    delete Native.Promise.prototype.constructor;
}

function define(name, value) {
    defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

function lock() {
    removeDangerous();
    boundTexts();
    boundBuffers();
    boundKeys();
    boundHoles();
    boundSubjects();
    boundBigInts();
    define('Promise', Promise);
    define('console', consoleObject);
    define('queueMicrotask', (callback) => {
        if (typeof callback !== 'function') throw new TypeError('queueMicrotask: not a function');
        jobs.push(callback);
    });
    const web = webFactory(host);
    for (const name of keys(web)) define(name, web[name]);
    const url = urlFactory();
    for (const name of keys(url)) define(name, url[name]);
    const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
        AggregateError, FlowError];
    for (const type of errors) {
        for (const name of ['name', 'message', 'toString', 'constructor']) overridable(type.prototype, name);
    }
    for (const name of ['toString', 'valueOf', 'toLocaleString', 'hasOwnProperty', 'isPrototypeOf',
        'propertyIsEnumerable', 'constructor']) {
        overridable(ObjectPrototype, name);
    }
    for (const name of ['toString', 'constructor', 'name', 'length', 'call', 'apply', 'bind']) {
        overridable(Function.prototype, name);
    }
    for (const type of [Array, Date, RegExp, Map, Set, Promise]) {
        for (const name of ['toString', 'constructor', 'then']) overridable(type.prototype, name);
    }
    lockAll([globalThis, Native.Promise, FlowError, ...hiddenIntrinsics()]);
}

lock();

return {
    enter, probe, shrink,
    addShape(make) { return shapes.push(make) - 1; },
    setInput(a, b, c) { inWords = a; inFloats = b; inBytes = c; },
    setSizeMax(size) { sizeMax = size; },
    /*
     * `env`: read from the wire, frozen to the leaves. A Date or an array of bytes cannot be frozen, so
     * each look at one gives a fresh copy.
     */
    keep(input) {
        inText = input;
        ip = fp = bp = tp = 0;
        const root = { value: read() }, todo = [root];
        while (todo.length > 0) {
            const object = todo.pop();
            for (const key of keys(object)) {
                const value = object[key];
                if (typeof value !== 'object' || value === null) continue;
                if (value instanceof Native.Date) {
                    defineProperty(object, key, { get: () => new Date(value.getTime()) });
                } else if (isView(value)) {
                    defineProperty(object, key, { get: () => value.slice() });
                } else {
                    todo.push(value);
                }
            }
            freeze(object);
        }
        return root.value;
    },
};
})
