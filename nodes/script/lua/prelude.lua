-- SPDX-License-Identifier: MIT
--
-- The globals that a script sees. It gets the native functions (N) and runs once per machine, with
-- the same counter in its loops that scripts have.
--
-- Three rules hold here:
--   * what is shared by calls is read-only (freeze), and every function that writes past metatables
--     (rawset, table.insert) is wrapped so that it refuses;
--   * a function that works on all keys finishes a lazy table first (N.finish);
--   * whatever catches an error gives it to N.caught, which raises it again once the call is over.
--
-- Wrappers end in a tail call, so that an error of what they wrap names the author's line and not
-- one of these; errors of their own are raised at level 2.

local N = ...

local LAZY, LIST, MAP, ERROR = N.LAZY, N.LIST, N.MAP, N.ERROR
local FROZEN, GLOBALS = N.FROZEN, N.GLOBALS

local error, getmetatable, next, pairs, pcall, rawequal, rawget, rawset, select, setmetatable,
    tonumber, tostring, type, unpack, xpcall =
    error, getmetatable, next, pairs, pcall, rawequal, rawget, rawset, select, setmetatable,
    tonumber, tostring, type, unpack, xpcall
local string, table, math, coroutine, bit = string, table, math, coroutine, bit
local concat, insert, remove, rep, floor = table.concat, table.insert, table.remove, string.rep, math.floor
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local finish, caught, charge, room = N.finish, N.caught, N.charge, N.room

local raise = error -- in tail position: its lines are none of the author's (rewrite.h)

-- ---- Read-only tables ---------------------------------------------------------------------------

local contents = setmetatable({}, {__mode = 'k'}) -- read-only table → what it shows

local function refuse()
    error('this table is read-only', 2)
end

local function freeze(from, call)
    local proxy = {}
    contents[proxy] = from
    return setmetatable(proxy, {__index = from, __newindex = refuse, __metatable = FROZEN, __call = call})
end

-- A read-only copy of plain tables (env).
local function freeze_deep(from)
    if type(from) ~= 'table' then return from end
    local kind = getmetatable(from)
    if kind == LAZY or kind == ERROR then finish(from) end
    for key, value in next, from do
        from[key] = freeze_deep(value)
    end
    return freeze(from)
end

-- ---- Tables -------------------------------------------------------------------------------------

local function frozen_next(t, key)
    return next(contents[t], key)
end

local function pairs_(t)
    local kind = getmetatable(t)
    if kind == LAZY or kind == ERROR then
        finish(t)
    elseif kind == FROZEN then
        return frozen_next, t, nil
    end
    return pairs(t)
end

local function next_(t, key)
    local kind = getmetatable(t)
    if kind == LAZY or kind == ERROR then
        finish(t)
    elseif kind == FROZEN then
        return frozen_next(t, key)
    end
    return next(t, key)
end

local function ipairs_next(t, i)
    i = i + 1
    local value = contents[t][i]
    if value ~= nil then return i, value end
end

local ipairs = ipairs
local function ipairs_(t)
    if getmetatable(t) == FROZEN then return ipairs_next, t, 0 end
    return ipairs(t)
end

local function rawget_(t, key)
    local kind = getmetatable(t)
    if kind == LAZY or kind == ERROR then
        finish(t)
    elseif kind == FROZEN then
        return rawget(contents[t], key)
    end
    return rawget(t, key)
end

local function rawset_(t, key, value)
    local kind = getmetatable(t)
    if kind == LAZY or kind == ERROR then
        finish(t)
    elseif kind == FROZEN then
        return refuse()
    end
    return rawset(t, key, value)
end

local function is_ours(kind)
    return kind == LAZY or kind == LIST or kind == MAP or kind == ERROR
end

local function getmetatable_(value)
    local kind = getmetatable(value)
    if kind == FROZEN or kind == GLOBALS or is_ours(kind) then return nil end
    return kind
end

local function setmetatable_(t, meta)
    local kind = getmetatable(t)
    if is_ours(kind) then
        N.thaw(t)
    elseif kind == FROZEN or kind == GLOBALS then
        error('cannot change a protected metatable', 2)
    end
    return setmetatable(t, meta)
end

local CHEAP = 256 -- items that may be moved without being counted

local function insert_(t, ...)
    local kind = getmetatable(t)
    if kind ~= nil then
        if kind == FROZEN then return refuse() end
        if kind == LAZY or kind == ERROR then finish(t) end
    end
    if select('#', ...) > 1 and type(t) == 'table' then
        local count = #t
        if count > CHEAP then charge(count) end
    end
    return insert(t, ...)
end

local function remove_(t, ...)
    if getmetatable(t) == FROZEN then return refuse() end
    if select('#', ...) > 0 and type(t) == 'table' then
        local count = #t
        if count > CHEAP then charge(count) end
    end
    return remove(t, ...)
end

local LONG = 256 * 1024 -- bytes of a text for which room is asked before it is made

-- A long list is joined in pieces, so that the clock is looked at between them.
local PIECE = 4096

local function concat_(t, separator, first, last)
    local kind = getmetatable(t)
    if kind == FROZEN then t = contents[t] end
    if type(t) ~= 'table' then return concat(t, separator, first, last) end
    local from, to = tonumber(first) or 1, tonumber(last) or #t
    if not (to - from >= PIECE) then
        local size = type(separator) == 'string' and #separator * (to - from) or 0
        for i = from, to do
            local item = rawget(t, i)
            if type(item) == 'string' then size = size + #item end
        end
        if size > LONG then room(size) end
        return concat(t, separator, first, last)
    end
    local pieces, count = {}, 0
    for i = from, to, PIECE do
        local piece_end = i + PIECE - 1
        count = count + 1
        pieces[count] = concat(t, separator, i, piece_end < to and piece_end or to)
    end
    return concat_(pieces, separator)
end

-- A stable merge sort. (The original's is one native call whose comparisons nobody counts.)
local function less(a, b)
    return a < b
end

local function merge(from, to, low, middle, high, before)
    local i, j = low, middle
    for k = low, high - 1 do
        if i < middle and (j >= high or not before(from[j], from[i])) then
            to[k] = from[i]
            i = i + 1
        else
            to[k] = from[j]
            j = j + 1
        end
    end
end

local RUN = 8

local function sort_runs(t, count, before)
    for low = 1, count, RUN do
        local high = low + RUN - 1
        if high > count then high = count end
        for i = low + 1, high do
            local value, at = t[i], i
            while at > low and before(value, t[at - 1]) do
                t[at] = t[at - 1]
                at = at - 1
            end
            t[at] = value
        end
    end
end

local function sort(t, before)
    if type(t) ~= 'table' then
        error("bad argument #1 to 'sort' (table expected, got " .. type(t) .. ')', 2)
    end
    if before ~= nil and type(before) ~= 'function' then
        error("bad argument #2 to 'sort' (function expected, got " .. type(before) .. ')', 2)
    end
    if getmetatable(t) == FROZEN then return refuse() end
    before = before or less
    local count = #t
    sort_runs(t, count, before)
    local from, to, width = t, {}, RUN
    while width < count do
        for low = 1, count, width * 2 do
            local middle, high = low + width, low + width * 2
            if middle > count + 1 then middle = count + 1 end
            if high > count + 1 then high = count + 1 end
            merge(from, to, low, middle, high, before)
        end
        from, to = to, from
        width = width * 2
    end
    if from ~= t then
        for i = 1, count do t[i] = from[i] end
    end
end

local function move(a, first, last, at, b)
    b = b or a
    if getmetatable(b) == FROZEN then return refuse() end
    if last >= first then
        if at > last or at <= first or a ~= b then
            for i = 0, last - first do b[at + i] = a[first + i] end
        else
            for i = last - first, 0, -1 do b[at + i] = a[first + i] end
        end
    end
    return b
end

local function foreach(t, call)
    for key, value in pairs_(t) do
        local result = call(key, value)
        if result ~= nil then return result end
    end
end

local function foreachi(t, call)
    for i = 1, #t do
        local result = call(i, t[i])
        if result ~= nil then return result end
    end
end

local function maxn(t)
    local most = 0
    for key in pairs_(t) do
        if type(key) == 'number' and key > most then most = key end
    end
    return most
end

local function unpack_(t, ...)
    if getmetatable(t) == FROZEN then return unpack(contents[t], ...) end
    return unpack(t, ...)
end

-- ---- Strings ------------------------------------------------------------------------------------

-- A long text is made of pieces that are copied as a whole.
local function rep_(text, count, separator)
    local times = tonumber(count)
    if times == nil or type(text) ~= 'string' or (separator ~= nil and type(separator) ~= 'string') then
        return rep(text, count, separator)
    end
    local size = #text + (separator and #separator or 0)
    if not (size * times > LONG) then return rep(text, count, separator) end
    if size * times >= 2 ^ 31 then return N.no_memory() end
    room(size * times)
    times = floor(times)
    local unit = separator and text .. separator or text
    local many = floor(LONG / size) + 1
    local block = rep(unit, many)
    local blocks, pieces = floor((times - 1) / many), {}
    for i = 1, blocks do pieces[i] = block end
    pieces[blocks + 1] = rep(unit, times - 1 - blocks * many)
    pieces[blocks + 2] = text
    return concat_(pieces)
end

-- The original calls __tostring from C, which nests on the C stack; here it is called before.
local format = string.format
local function format_tables(text, ...)
    local count, args, size = select('#', ...), {...}, 0
    for i = 1, count do
        if type(args[i]) == 'table' and getmetatable(args[i]) ~= nil then args[i] = tostring(args[i]) end
        if type(args[i]) == 'string' then size = size + #args[i] end
    end
    if size > LONG then room(size) end
    return format(text, unpack(args, 1, count))
end

local function format_(text, ...)
    local a, b, c = ...
    if select('#', ...) > 3 or type(a) == 'table' or type(b) == 'table' or type(c) == 'table' then
        return format_tables(text, ...)
    end
    return format(text, ...)
end

-- ---- Errors and coroutines ----------------------------------------------------------------------

local function checked(good, ...)
    if good then return true, ... end
    return false, caught((...))
end

local function pcall_(...)
    return checked(pcall(...))
end

local function xpcall_(call, handler, ...)
    if type(handler) ~= 'function' then
        return checked(xpcall(call, handler, ...))
    end
    return checked(xpcall(call, function(message)
        return handler(caught(message))
    end, ...))
end

-- Coroutines nest on the C stack, which has an end.
local DEPTH_MAX = 150
local depth = 0

local function left(...)
    depth = depth - 1
    return ...
end

local function resume_(...)
    if depth >= DEPTH_MAX then return false, 'C stack overflow' end
    depth = depth + 1
    return checked(left(resume(...)))
end

local function wrapped(good, ...)
    if good then return ... end
    return raise((...), 0)
end

local function wrap(call)
    local routine = create(call)
    return function(...)
        return wrapped(resume_(routine, ...))
    end
end

-- ---- Numbers ------------------------------------------------------------------------------------

local function random(low, high)
    local value = N.random()
    if low == nil then return value end
    if high == nil then low, high = 1, low end
    if type(low) ~= 'number' or type(high) ~= 'number' then
        error("bad argument to 'random' (number expected)", 2)
    end
    low, high = floor(low), floor(high)
    if low > high then error("bad argument to 'random' (interval is empty)", 2) end
    return low + floor(value * (high - low + 1))
end

local int64, uint64 = N.ffi.typeof('int64_t'), N.ffi.typeof('uint64_t')
local istype = N.ffi.istype

local function cdata_kind(value)
    if istype(int64, value) then return 1 end
    return istype(uint64, value) and 2 or 0
end

local function cdata_new(signed)
    if signed then return int64() end
    return uint64()
end

-- ---- Log ----------------------------------------------------------------------------------------

local function log_at(level)
    return function(...)
        local count = select('#', ...)
        if count == 1 then return N.log(level, tostring((...))) end
        local parts = {...}
        for i = 1, count do parts[i] = tostring(parts[i]) end
        return N.log(level, concat(parts, '\t', 1, count))
    end
end

-- ---- The globals --------------------------------------------------------------------------------

local function array(t)
    return N.mark(t == nil and {} or t, LIST)
end

local function object(t)
    return N.mark(t == nil and {} or t, MAP)
end

local null = N.null
local json_safe = freeze({encode = N.json_safe_encode, decode = N.json_safe_decode, null = null, array = array, object = object})

local strings = {byte = string.byte, char = string.char, find = N.find, format = format_,
    gmatch = N.gmatch, gsub = N.gsub, len = string.len, lower = string.lower, match = N.match,
    rep = rep_, reverse = string.reverse, sub = string.sub, upper = string.upper}

-- ("x"):upper() goes through the metatable of strings.
local string_meta = getmetatable('')
string_meta.__index = strings
string_meta.__metatable = false

local maths = {}
for key, value in pairs(math) do maths[key] = value end
maths.random, maths.randomseed = random, N.randomseed
local bits = {}
for key, value in pairs(bit) do bits[key] = value end

local globals = {
    _VERSION = _VERSION,
    assert = assert, error = error, getmetatable = getmetatable_, ipairs = ipairs_, next = next_,
    pairs = pairs_, pcall = pcall_, rawequal = rawequal, rawget = rawget_, rawset = rawset_,
    select = select, setmetatable = setmetatable_, tonumber = tonumber, tostring = tostring,
    type = type, unpack = unpack_, xpcall = xpcall_,
    print = log_at(N.INFO),
    string = freeze(strings),
    math = freeze(maths),
    bit = freeze(bits),
    table = freeze({concat = concat_, foreach = foreach, foreachi = foreachi, getn = table.getn,
        insert = insert_, maxn = maxn, move = move, remove = remove_, sort = sort, unpack = unpack_}),
    coroutine = freeze({create = create, resume = resume_, running = coroutine.running,
        status = coroutine.status, wrap = wrap, yield = yield, isyieldable = coroutine.isyieldable}),
    json = freeze({encode = N.json_encode, decode = N.json_decode, null = null, array = array,
        object = object, safe = json_safe}),
    cjson = json_safe,
    log = freeze({debug = log_at(N.DEBUG), info = log_at(N.INFO), warn = log_at(N.WARN),
        error = log_at(N.FAULT)}),
    binary = N.binary,
    duration = N.duration,
    time = freeze({now = N.now}, function(_, ...) return N.time(...) end),
}

-- A table of globals for one script: its own to read, `_G` and `env` are put into it.
local function base()
    local copy = {}
    for key, value in next, globals do copy[key] = value end
    return copy
end

-- One call of a script whose text has to run first.
local function enter(factory, ...)
    local main = factory()
    if type(main) ~= 'function' then
        return raise('the script returned a ' .. type(main) .. ' where a function was expected', 0)
    end
    return main(...)
end

return {
    base = base,
    freeze = freeze_deep,
    enter = enter,
    cdata_kind = cdata_kind,
    cdata_new = cdata_new,
    reset = function() depth = 0 end,
}
