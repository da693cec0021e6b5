-- SPDX-License-Identifier: MIT
-- The service of haproxy-lua.cfg.
core.register_service("ping", "http", function(applet)
    local text = '{"message":"pong"}'
    applet:set_status(200)
    applet:add_header("content-type", "application/json")
    applet:add_header("content-length", tostring(#text))
    applet:start_response()
    applet:send(text)
end)
