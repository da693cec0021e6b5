/* SPDX-License-Identifier: MIT */
/*
 * Cases of the web platform's parts, written from the standards: URL (url.spec.whatwg.org), Encoding
 * (encoding.spec.whatwg.org), forgiving base64 (infra.spec.whatwg.org, 7), Web Cryptography, 10.1.
 * The result is a list of what does not hold.
 */
const wrong = [];
const is = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) wrong.push(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
};
const thrown = (f) => {
    try {
        return f();
    } catch (error) {
        return '✗ ' + error.name;
    }
};

/* input, base or '', href or null for failure */
const PARSED = [
    ['http://EXAMPLE.com:80/', '', 'http://example.com/'],
    ['HTTPS://example.com:443', '', 'https://example.com/'],
    ['https://example.com:80', '', 'https://example.com:80/'],
    ['ws://h:80/', '', 'ws://h/'], ['wss://h:443', '', 'wss://h/'], ['ftp://h:21/', '', 'ftp://h/'],
    ['http://h:0/', '', 'http://h:0/'], ['http://h:65535/', '', 'http://h:65535/'], ['http://h:65536/', '', null],
    ['http://h:00080/', '', 'http://h/'], ['http://h:8a/', '', null], ['http://h:/', '', 'http://h/'], ['http://h:-1/', '', null],
    ['foo://h:80/', '', 'foo://h:80/'],
    /* users */
    ['http://u:p@h/', '', 'http://u:p@h/'], ['http://u@@h/', '', 'http://u%40@h/'], ['http://@h/', '', 'http://h/'],
    ['http://:@h/', '', 'http://h/'], ['http://u:@h/', '', 'http://u@h/'], ['http://:p@h/', '', 'http://:p@h/'],
    ['http://u:p:q@h', '', 'http://u:p%3Aq@h/'], ['http://u^|{}[]=@h', '', 'http://u%5E%7C%7B%7D%5B%5D%3D@h/'], ['http://u@/x', '', null],
    ['http://a%zz:%41@h', '', 'http://a%zz:%41@h/'],
    /* hosts that are names */
    ['http://', '', null], ['http://:80', '', null], ['http://a b/', '', null], ['http://a%20b/', '', null], ['http://a%00b/', '', null],
    ['http://a<b', '', null], ['http://a|b', '', null], ['http://a^b', '', null], ['http://a%25b', '', null], ['http://a%7fb', '', null],
    ['http://!"$&\'()*+,-.;=_`{}~/', '', 'http://!"$&\'()*+,-.;=_`{}~/'], ['http://%41%2eB', '', 'http://a.b/'], ['http://a..b/', '', 'http://a..b/'],
    ['foo://A%41 b', '', null], ['foo://A%41ü/', '', 'foo://A%41%C3%BC/'], ['foo://a^b', '', null], ['foo:///p', '', 'foo:///p'], ['foo://', '', 'foo://'],
    /* hosts that are IPv4 addresses */
    ['http://127.1/', '', 'http://127.0.0.1/'], ['http://0x7f.1/', '', 'http://127.0.0.1/'], ['http://0300.168.0.1', '', 'http://192.168.0.1/'],
    ['http://4294967295', '', 'http://255.255.255.255/'], ['http://4294967296', '', null], ['http://256.0.0.1', '', null],
    ['http://1.2.3.4.5', '', null], ['http://1.2.3.4.', '', 'http://1.2.3.4/'], ['http://1.2.3', '', 'http://1.2.0.3/'], ['http://1.2.65536', '', null],
    ['http://0x', '', 'http://0.0.0.0/'], ['http://1.2.0x.4', '', 'http://1.2.0.4/'], ['http://foo.0x4', '', null], ['http://foo.09', '', null],
    ['http://09', '', null], ['http://1e2', '', 'http://1e2/'], ['http://%30%78%63%30%2e%30%32%35%30.01', '', 'http://192.168.0.1/'],
    ['http://１２７.0.0.1', '', 'http://127.0.0.1/'], ['http://1..2', '', null], ['foo://127.1', '', 'foo://127.1'],
    /* hosts that are IPv6 addresses */
    ['http://[::1]:8080/', '', 'http://[::1]:8080/'], ['http://[0:0:0:0:0:0:0:0]', '', 'http://[::]/'], ['http://[1:0:0:2:0:0:0:3]', '', 'http://[1:0:0:2::3]/'],
    ['http://[1:2:3:4:5:6:7::]', '', 'http://[1:2:3:4:5:6:7:0]/'], ['http://[1:2::3:4.5.6.7]', '', 'http://[1:2::3:405:607]/'], ['http://[ABCD::]', '', 'http://[abcd::]/'],
    ['http://[::1.2.3]', '', null], ['http://[::1.2.3.04]', '', null], ['http://[::1.2.3.256]', '', null], ['http://[1.2.3.4]', '', null], ['http://[:1]', '', null],
    ['http://[1::2::3]', '', null], ['http://[12345::]', '', null], ['http://[::g]', '', null], ['http://[::1', '', null], ['http://[::1]x', '', null],
    ['http://[::1%25en0]', '', null], ['http://[]', '', null], ['foo://[::1]/x', '', 'foo://[::1]/x'], ['http://[1:2:3:4:5:6:7:8:9]', '', null],
    /* hosts beyond ASCII */
    ['http://bücher.de', '', 'http://xn--bcher-kva.de/'], ['http://BÜCHER.de', '', 'http://xn--bcher-kva.de/'], ['http://faß.de', '', 'http://xn--fa-hia.de/'],
    ['http://ＧＯ.com', '', 'http://go.com/'], ['http://a。b．c｡d', '', 'http://a.b.c.d/'], ['http://a\u00adb', '', 'http://ab/'], ['http://\u00ad', '', null],
    ['http://日本語。jp', '', 'http://xn--wgv71a119e.jp/'], ['http://xn--bcher-kva.de', '', 'http://xn--bcher-kva.de/'], ['http://xn--', '', null],
    ['http://xn--a', '', null], ['http://xn--a-', '', null], ['http://a\ue000', '', null], ['http://\u0301a', '', null], ['http://a\u202eb', '', null],
    ['http://a\ud800', '', null], ['http://😀.test', '', 'http://xn--e28h.test/'],
    /* paths */
    ['http://h/a/./b/../c', '', 'http://h/a/c'], ['http://h/%2e/%2E%2e/.%2e/x', '', 'http://h/x'], ['http://h/a/..', '', 'http://h/'], ['http://h/a/.', '', 'http://h/a/'],
    ['http://h\\a\\..\\b', '', 'http://h/b'], ['foo://h\\a', '', null], ['foo://h/a\\b', '', 'foo://h/a\\b'], ['http://h/a b"<>`{}^|?#', '', 'http://h/a%20b%22%3C%3E%60%7B%7D%5E|?#'],
    ['http://h/%zz%4', '', 'http://h/%zz%4'], ['http://h/é\u{1f600}', '', 'http://h/%C3%A9%F0%9F%98%80'], ['http://h//a//', '', 'http://h//a//'],
    ['http://h/\ud800', '', 'http://h/%EF%BF%BD'], ['http:///h/x', '', 'http://h/x'], ['http:\\\\h\\x', '', 'http://h/x'], ['http:h', '', 'http://h/'],
    ['foo:/.//p', '', 'foo:/.//p'], ['foo:/..//p', '', 'foo:/.//p'], ['foo:/a/../..', '', 'foo:/'], ['foo://h', '', 'foo://h'], ['foo://h/..', '', 'foo://h/'],
    /* queries and fragments */
    ['http://h?a\'b"c<>` #`<>"\'', '', 'http://h/?a%27b%22c%3C%3E`%20#%60%3C%3E%22\''], ['foo://h?a\'b', '', 'foo://h?a\'b'], ['http://h/?a?b#c#d', '', 'http://h/?a?b#c#d'],
    ['http://h/?é', '', 'http://h/?%C3%A9'], ['http://h?', '', 'http://h/?'], ['http://h#', '', 'http://h/#'],
    /* opaque paths */
    ['mailto:a@b?x y#z w', '', 'mailto:a@b?x%20y#z%20w'], ['data:text/plain,a b ', '', 'data:text/plain,a b'], ['data:x  ?q', '', 'data:x %20?q'], ['data:x #f', '', 'data:x%20#f'],
    ['javascript:\x01é', '', 'javascript:%01%C3%A9'], ['foo:', '', 'foo:'], ['foo:a/../b', '', 'foo:a/../b'],
    /* files */
    ['file:///C|/x/..', '', 'file:///C:/'], ['file:///C:/../..', '', 'file:///C:/'], ['file:c:\\a\\b', '', 'file:///c:/a/b'], ['file://localhost/x', '', 'file:///x'],
    ['file://h/x', '', 'file://h/x'], ['file:', '', 'file:///'], ['file:x', '', 'file:///x'], ['file:/x', '', 'file:///x'], ['file://C|/x', '', 'file:///C:/x'], ['file:////x', '', 'file:////x'],
    ['//x', 'file:///C:/a', 'file://x/'], ['/', 'file:///C:/a/b', 'file:///C:/'], ['x', 'file:///C:/a/b', 'file:///C:/a/x'], ['..', 'file:///C:/', 'file:///C:/'],
    ['../..', 'file:///a/b', 'file:///'], ['D:/y', 'file:///C:/a', 'd:/y'], ['D|/y', 'file:///C:/a', 'file:///D:/y'], ['/D|/y', 'file:///C:/a', 'file:///D:/y'], ['?q', 'file:///a/b?c#d', 'file:///a/b?q'],
    ['', 'file:///a/b?c#d', 'file:///a/b?c'], ['file:x', 'file:///a/b', 'file:///a/x'], ['file:?q', 'http://h/', 'file:///?q'], ['file://h:80/', '', null], ['file://u@h/', '', null],
    /* relative to a base */
    ['a', 'http://h/b/c?x#y', 'http://h/b/a'], ['/a', 'http://h/b/c?x', 'http://h/a'], ['../a', 'http://h/b/c/d', 'http://h/b/a'], ['../../../a', 'http://h/b', 'http://h/a'],
    ['//x/y', 'http://h/b', 'http://x/y'], ['\\\\x\\y', 'http://h/b', 'http://x/y'], ['?q', 'http://h/b?x#y', 'http://h/b?q'], ['#f', 'http://h/b?x#y', 'http://h/b?x#f'],
    ['', 'http://h/b?c#d', 'http://h/b?c'], ['//', 'http://h/', null], ['http:a', 'http://h/b/c', 'http://h/b/a'], ['http:/a', 'http://h/b/c', 'http://h/a'],
    ['https:a', 'http://h/b/c', 'https://a/'], ['#f', 'mailto:x', 'mailto:x#f'], ['a', 'mailto:x', null], ['', 'mailto:x', 'mailto:x'], ['?a', 'mailto:x', null],
    ['a', 'foo://h/b/c', 'foo://h/b/a'], ['//', 'foo://h/b', 'foo://'], ['a', 'foo:/b/c', 'foo:/b/a'], ['a b', 'http://h/', 'http://h/a%20b'],
    ['a', '', null], ['/a', '', null], ['', '', null], ['a', 'b', null], ['http://h', 'b', null],
    /* what is left out */
    [' \0http://h/ \x1f', '', 'http://h/'], ['ht\ttp://h/a\r\nb', '', 'http://h/ab'], ['1http://h', '', null], ['h_ttp://h', '', null], ['a+b-c.d:x', '', 'a+b-c.d:x'],
];

/* href, property, value, href after it */
const SET = [
    ['http://h:81/', 'protocol', 'https', 'https://h:81/'], ['http://h:443/', 'protocol', 'https:', 'https://h/'], ['http://h/', 'protocol', 'foo', 'http://h/'],
    ['foo://h/', 'protocol', 'http', 'foo://h/'], ['http://h/', 'protocol', 'b@d', 'http://h/'], ['http://u@h/', 'protocol', 'file', 'http://u@h/'],
    ['file:///x', 'protocol', 'http', 'file:///x'], ['http://h/', 'protocol', 'htt\nps', 'https://h/'], ['foo:x', 'protocol', 'bar', 'bar:x'],
    ['http://h/', 'username', 'a b:', 'http://a%20b%3A@h/'], ['http://u:p@h/', 'username', '', 'http://:p@h/'], ['file:///x', 'username', 'u', 'file:///x'], ['foo:x', 'username', 'u', 'foo:x'],
    ['http://u@h/', 'password', 'p@', 'http://u:p%40@h/'], ['http://u:p@h/', 'password', '', 'http://u@h/'], ['file://h/x', 'password', 'p', 'file://h/x'],
    ['http://h/', 'host', 'x:8080', 'http://x:8080/'], ['http://h:1/', 'host', 'x', 'http://x:1/'], ['http://h/', 'host', 'x:', 'http://x/'], ['http://h:1/', 'host', 'x:8a', 'http://x:8/'],
    ['http://h/', 'host', '', 'http://h/'], ['http://h/', 'host', 'x/y?z#w', 'http://x/'], ['http://h/', 'host', 'x:65536', 'http://x/'], ['http://h/', 'host', 'a b', 'http://h/'],
    ['http://h/', 'host', '[::1]:2', 'http://[::1]:2/'], ['http://h/', 'host', ':2', 'http://h/'], ['foo:x', 'host', 'y', 'foo:x'], ['foo://h/', 'host', '', 'foo:///'], ['foo://u@h/', 'host', '', 'foo://u@h/'],
    ['http://h/', 'host', 'u@x', 'http://h/'], ['file:///x', 'host', 'localhost', 'file:///x'], ['file:///x', 'host', 'y', 'file://y/x'],
    ['http://h:1/', 'hostname', 'x', 'http://x:1/'], ['http://h:1/', 'hostname', 'x:2', 'http://h:1/'], ['http://h/', 'hostname', '0x7f.1', 'http://127.0.0.1/'], ['http://h/', 'hostname', '', 'http://h/'],
    ['http://h/', 'port', '8080', 'http://h:8080/'], ['http://h:1/', 'port', '80', 'http://h/'], ['http://h:1/', 'port', '', 'http://h/'], ['http://h:1/', 'port', '2x', 'http://h:2/'], ['http://h:1/', 'port', 'x', 'http://h:1/'],
    ['http://h:1/', 'port', '65536', 'http://h:1/'], ['http://h/', 'port', 90, 'http://h:90/'], ['file:///x', 'port', '1', 'file:///x'], ['http://h:1/', 'port', '\t9', 'http://h:9/'],
    ['http://h/a', 'pathname', 'b c?d#e', 'http://h/b%20c%3Fd%23e'], ['http://h/a', 'pathname', '', 'http://h/'], ['http://h/a', 'pathname', '\\b\\..\\c', 'http://h/c'], ['foo://h/a', 'pathname', '', 'foo://h'],
    ['foo://h/a', 'pathname', '\\b', 'foo://h/\\b'], ['foo:x', 'pathname', '/y', 'foo:x'], ['file:///C:/a', 'pathname', '/../..', 'file:///'], ['foo:/a', 'pathname', '//p', 'foo:/.//p'],
    ['http://h/?a', 'search', 'b c\'', 'http://h/?b%20c%27'], ['http://h/?a', 'search', '??b', 'http://h/??b'], ['http://h/?a#f', 'search', '', 'http://h/#f'], ['http://h/?a', 'search', '?', 'http://h/?'], ['http://h/', 'search', '#x', 'http://h/?%23x'],
    ['http://h/#a', 'hash', 'b c`', 'http://h/#b%20c%60'], ['http://h/#a', 'hash', '##b', 'http://h/##b'], ['http://h/#a', 'hash', '', 'http://h/'], ['http://h/#a', 'hash', '#', 'http://h/#'],
    ['http://h/', 'href', 'foo:x', 'foo:x'],
];

function urls() {
    for (const [input, base, wanted] of PARSED) {
        const args = base === '' ? [input] : [input, base];
        is(`new URL(${JSON.stringify(args)})`, thrown(() => new URL(...args).href), wanted ?? '✗ TypeError');
        is(`canParse(${JSON.stringify(args)})`, URL.canParse(...args), wanted !== null);
        is(`parse(${JSON.stringify(args)})`, URL.parse(...args)?.href ?? null, wanted);
        /* What was serialised is read as the same. */
        if (wanted !== null) is(`again ${wanted}`, thrown(() => new URL(wanted).href), wanted);
    }
    for (const [href, name, value, wanted] of SET) {
        const url = new URL(href);
        url[name] = value;
        is(`${href} .${name} = ${JSON.stringify(value)}`, url.href, wanted);
    }
    const url = new URL('https://u:p@h:8080/a/b?c=d&e#f');
    is('parts', [url.protocol, url.username, url.password, url.host, url.hostname, url.port, url.pathname, url.search, url.hash, url.origin],
        ['https:', 'u', 'p', 'h:8080', 'h', '8080', '/a/b', '?c=d&e', '#f', 'https://h:8080']);
    is('empty parts', ['http://h/?', 'http://h/#'].map((text) => [new URL(text).search, new URL(text).hash]), [['', ''], ['', '']]);
    is('origins', ['file:///x', 'foo://h', 'blob:https://h:443/x', 'blob:foo:x', 'data:x'].map((text) => new URL(text).origin),
        ['null', 'null', 'https://h', 'null', 'null']);
    is('href = bad', thrown(() => { url.href = 'x'; }), '✗ TypeError');
    is('call', thrown(() => URL('http://h')), '✗ TypeError');
    is('as text', [`${new URL('http://h')}`, JSON.stringify(new URL('http://h'))], ['http://h/', '"http://h/"']);
    url.searchParams.append('g h', '&=é');
    is('append', url.search, '?c=d&e=&g+h=%26%3D%C3%A9');
    url.search = '?x=1';
    is('search tells params', [...url.searchParams], [['x', '1']]);
    url.searchParams.delete('x');
    is('emptied', url.href, 'https://u:p@h:8080/a/b#f');
}

function params() {
    const text = (init) => new URLSearchParams(init).toString();
    is('parse', [...new URLSearchParams('?a=1&b=2&a=3&&=&c&d=%zz+%20&%c3%a9=%ff')],
        [['a', '1'], ['b', '2'], ['a', '3'], ['', ''], ['c', ''], ['d', '%zz  '], ['é', '\ufffd']]);
    is('keeps a BOM', new URLSearchParams('a=%EF%BB%BFb').get('a'), '\ufeffb');
    is('from pairs', text([['a', 'b c'], ['a', '*-._~!\'()']]), 'a=b+c&a=*-._%7E%21%27%28%29');
    is('from a record', text({ a: 1, b: null, c: 'é' }), 'a=1&b=null&c=%C3%A9');
    is('from params', text(new URLSearchParams('a=1&b')), 'a=1&b=');
    is('from a map', text(new Map([['a', 'b']])), 'a=b');
    is('from nothing', [text(undefined), text(''), text(null)], ['', '', 'null=']);
    is('bad pairs', [thrown(() => text([['a']])), thrown(() => text([['a', 'b', 'c']])), thrown(() => text([1]))], ['✗ TypeError', '✗ TypeError', '✗ TypeError']);
    is('two question marks', text('??a=b'), '%3Fa=b');
    const p = new URLSearchParams('b=2&a=1&b=3&a=4');
    is('get', [p.get('b'), p.getAll('a'), p.get('c'), p.has('a'), p.has('a', '4'), p.has('a', '5'), p.size], ['2', ['1', '4'], null, true, true, false, 4]);
    p.sort();
    is('sort is stable', `${p}`, 'a=1&a=4&b=2&b=3');
    p.set('a', 'x');
    p.set('c', 'y');
    p.delete('b', '2');
    is('set and delete', `${p}`, 'a=x&b=3&c=y');
    p.delete('c', undefined);
    is('delete without a value', `${p}`, 'a=x&b=3');
    is('sort by UTF-16', text([['\uffff', ''], ['\u{1f600}', '']].map((x) => x)) && [...(() => {
        const q = new URLSearchParams([['\uffff', ''], ['\u{1f600}', '']]);
        q.sort();
        return q.keys();
    })()], ['\u{1f600}', '\uffff']);
    is('surrogates', [...new URLSearchParams([['\ud800', '\udc00']])], [['\ufffd', '\ufffd']]);
    p.append('\ud800', '\udfff');
    is('append surrogates', p.get('\ufffd'), '\ufffd');
    const seen = [], live = new URLSearchParams('a=1&b=2&c=3');
    for (const [name] of live) {
        seen.push(name);
        if (name === 'a') live.delete('b');
        if (name === 'c') live.append('d', '4');
        if (seen.length > 9) break;
    }
    is('iteration is live', seen, ['a', 'c', 'd']);
    const each = [];
    live.forEach(function (value, name, all) { each.push([value, name, all === live, this.x]); }, { x: 1 });
    is('forEach', each[0], ['1', 'a', true, 1]);
    is('iterators', [[...live.keys()], [...live.values()]], [['a', 'c', 'd'], ['1', '3', '4']]);
}

function encoding() {
    const bytes = (...list) => new Uint8Array(list), decode = (list, options) => thrown(() => new TextDecoder('utf-8', options).decode(bytes(...list)));
    const R = '\ufffd';
    const rows = [
        [[0x61, 0xc3, 0xa9], 'aé'], [[0xff], R], [[0xc0, 0x80], R + R], [[0xc3], R], [[0xe2, 0x82], R], [[0xe2, 0x82, 0x61], R + 'a'], [[0xed, 0xa0, 0x80], R + R + R],
        [[0xf0, 0x9f, 0x98, 0x80], '😀'], [[0xf0, 0x9f, 0x98], R], [[0xf4, 0x90, 0x80, 0x80], R + R + R + R], [[0xf0, 0x80, 0x80, 0x80], R + R + R + R],
        [[0xef, 0xbb, 0xbf, 0x61], 'a'], [[0xef, 0xbb], R], [[0x00], '\0'], [[], ''], [[0xe1, 0x80, 0xe2, 0xf0, 0x91, 0x92, 0xf1, 0xbf, 0x41], R + R + R + R + 'A'],
    ];
    for (const [list, wanted] of rows) {
        is(`decode ${list}`, decode(list), wanted);
        is(`decode fatally ${list}`, decode(list, { fatal: true }), wanted.includes(R) ? '✗ TypeError' : wanted);
        const slow = new TextDecoder(), parts = list.map((byte) => slow.decode(bytes(byte), { stream: true }));
        is(`decode byte by byte ${list}`, parts.join('') + slow.decode(), wanted);
    }
    is('ignoreBOM', decode([0xef, 0xbb, 0xbf, 0x61], { ignoreBOM: true }), '\ufeffa');
    is('second BOM', decode([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf]), '\ufeff');
    for (const label of ['utf-8', 'UTF-8', ' utf8\n', 'unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8', 'x-unicode20utf8', undefined]) {
        is(`label ${label}`, new TextDecoder(label).encoding, 'utf-8');
    }
    for (const label of ['utf', 'utf-16', 'latin1', '', 'utf-8\0', '\u00a0utf-8', null]) is(`label ${label}`, thrown(() => new TextDecoder(label)), '✗ RangeError');
    is('options', [new TextDecoder('utf8', { fatal: 1, ignoreBOM: 'x' })].map((d) => [d.fatal, d.ignoreBOM]), [[true, true]]);
    is('inputs', [thrown(() => new TextDecoder().decode('a')), thrown(() => new TextDecoder().decode(null)), new TextDecoder().decode(bytes(97, 98).buffer),
        new TextDecoder().decode(new DataView(bytes(97, 98, 99).buffer, 1, 1)), new TextDecoder().decode(new Uint16Array([0x6261]))], ['✗ TypeError', '✗ TypeError', 'ab', 'b', 'ab']);
    is('after a fault', (() => {
        const d = new TextDecoder('utf-8', { fatal: true });
        return [thrown(() => d.decode(bytes(0xff), { stream: true })), d.decode(bytes(0x61))];
    })(), ['✗ TypeError', 'a']);
    const encode = (value) => [...new TextEncoder().encode(value)];
    is('encode', [encode('aé€😀'), encode('\ud800x'), encode(), encode(undefined), encode(null), encode('\0')],
        [[97, 195, 169, 226, 130, 172, 240, 159, 152, 128], [239, 191, 189, 120], [], [], [110, 117, 108, 108], [0]]);
    const into = (text, size) => { const to = bytes(...Array(size).fill(9)); return [new TextEncoder().encodeInto(text, to), [...to]]; };
    is('encodeInto', [into('a€b', 4), into('😀', 3), into('\ud800', 3), into('ab', 1)],
        [[{ read: 2, written: 4 }, [97, 226, 130, 172]], [{ read: 0, written: 0 }, [9, 9, 9]], [{ read: 1, written: 3 }, [239, 191, 189]], [{ read: 1, written: 1 }, [97]]]);
    is('encodeInto what', thrown(() => new TextEncoder().encodeInto('a', [])), '✗ TypeError');
}

function base64() {
    const BAD = '✗ InvalidCharacterError';
    const rows = [['', ''], ['YQ==', 'a'], ['YWI=', 'ab'], ['YWJj', 'abc'], ['YQ', 'a'], ['YWI', 'ab'], [' Y Q\t=\n= \f\r', 'a'], ['/+8=', '\xff\xef'], ['YR==', 'a'], ['YQ=', BAD], ['Y', BAD], ['YWJjY', BAD],
        ['=', BAD], ['==', BAD], ['YQ===', BAD], ['Y=Q=', BAD], ['YWJj=', BAD], ['YWJjYQ==YQ==', BAD], ['Y-_Q', BAD], ['YQ\u00a0==', BAD], ['é', BAD], ['YQ\0', BAD]];
    for (const [text, wanted] of rows) is(`atob ${JSON.stringify(text)}`, thrown(() => atob(text)), wanted);
    is('atob null', atob(null), '\x9e\xe9e');
    is('btoa', [btoa(''), btoa('a'), btoa('ab'), btoa('abc'), btoa('\xff\0'), btoa(null), btoa(12), thrown(() => btoa('\u0100')), thrown(() => btoa('😀'))],
        ['', 'YQ==', 'YWI=', 'YWJj', '/wA=', 'bnVsbA==', 'MTI=', BAD, BAD]);
    const all = String.fromCharCode(...Array(256).keys());
    is('both', atob(btoa(all)), all);
}

function random() {
    const fill = (array) => thrown(() => crypto.getRandomValues(array) === array);
    is('quota', [fill(new Uint8Array(65536)), fill(new Uint8Array(65537)), fill(new Uint32Array(16384)), fill(new Uint32Array(16385)), fill(new Uint8Array(0))],
        [true, '✗ QuotaExceededError', true, '✗ QuotaExceededError', true]);
    is('kinds', [Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, BigInt64Array, BigUint64Array].map((type) => fill(new type(4))), Array(7).fill(true));
    is('no integers', [fill(new Float64Array(1)), fill(new Float32Array(1)), fill(new DataView(new ArrayBuffer(1))), fill([1]), fill(undefined), fill(new ArrayBuffer(1))],
        ['✗ TypeMismatchError', '✗ TypeMismatchError', '✗ TypeMismatchError', '✗ TypeError', '✗ TypeError', '✗ TypeError']);
    const part = new Uint8Array(96);
    crypto.getRandomValues(part.subarray(32, 64));
    is('only the part', [part.subarray(0, 32).some(Boolean), part.subarray(32, 64).some(Boolean), part.subarray(64).some(Boolean)], [false, true, false]);
    is('uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), true);
}

/* BigInt is wrapped to bound it: it must be what it was (ECMA-262, 21.2). */
function bigInts() {
    const values = ['12', ' 0x1f ', '', 3, true, { valueOf: () => 5 }, [7], { [Symbol.toPrimitive]: (hint) => hint.length }, { toString: () => '8' }];
    is('from', values.map((value) => String(BigInt(value))), ['12', '31', '0', '3', '1', '5', '7', '6', '8']);
    is('refused', [() => BigInt(null), () => BigInt(), () => BigInt(Symbol()), () => BigInt({}), () => BigInt('x'), () => BigInt(1.5), () => new BigInt(1)].map(thrown),
        ['✗ TypeError', '✗ TypeError', '✗ TypeError', '✗ SyntaxError', '✗ SyntaxError', '✗ RangeError', '✗ TypeError']);
    is('methods', [String(BigInt.asIntN(8, 255n)), String(BigInt.asUintN(8, -1n)), (5n).toString(2), Object(5n).toString(), thrown(() => BigInt.prototype.toString.call(5))],
        ['-1', '255', '101', '5', '✗ TypeError']);
    is('itself', [BigInt.name, BigInt.length, typeof BigInt, (3n).constructor === BigInt, Object(3n) instanceof BigInt, BigInt.prototype.toString.name], ['BigInt', 1, 'function', true, true, 'toString']);
    is('bounds', [() => BigInt('9'.repeat(16384)) > 0n, () => BigInt('9'.repeat(16385)), () => (2n ** 65536n).toString().length, () => (2n ** 65536n + 1n).toString()].map(thrown),
        [true, '✗ RangeError', 19729, '✗ RangeError']);
}

export default () => {
    urls();
    params();
    encoding();
    base64();
    random();
    bigInts();
    return { cases: PARSED.length + SET.length, wrong };
};
