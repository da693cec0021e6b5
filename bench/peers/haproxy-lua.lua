-- SPDX-License-Identifier: MIT
-- The service of haproxy-lua.cfg: a constant JSON object on /ping, a JSON echo with a changed field
-- on /echo.
local cjson = require("cjson")

local function reply(applet, value)
    local text = cjson.encode(value)
    applet:set_status(200)
    applet:add_header("content-type", "application/json")
    applet:add_header("content-length", tostring(#text))
    applet:start_response()
    applet:send(text)
end

core.register_service("ping", "http", function(applet)
    reply(applet, {message = "pong"})
end)

core.register_service("echo", "http", function(applet)
    local value = cjson.decode(applet:receive())
    value.count = value.count + 1
    reply(applet, value)
end)
