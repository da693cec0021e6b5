-- inline: deadline error memory; process: deadline error memory
return function(self)
  local function f() while true do pcall(coroutine.wrap(f)) end end f()
end
