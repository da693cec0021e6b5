-- inline: deadline memory; process: deadline memory
return function(self)
  local function f() pcall(f) f() end while true do pcall(f) end
end
