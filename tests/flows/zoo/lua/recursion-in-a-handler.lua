-- inline: deadline error; process: deadline error memory
return function(self)
  local function f() xpcall(error, f) return f() end f()
end
