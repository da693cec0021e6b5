-- inline: deadline error memory; process: deadline error memory
return function(self)
  local function f() return coroutine.wrap(f)() end return f()
end
