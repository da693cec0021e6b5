-- inline: error deadline memory; process: error deadline memory
return function(self)
  local function f(...) return f(1, ...) end f()
end
