-- inline: deadline error memory value; process: deadline error memory value
return function(self)
  local function f() return coroutine.resume(coroutine.create(f)) end return {f()}
end
