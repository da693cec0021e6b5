-- inline: error deadline memory; process: error deadline memory
return function(self)
  local function f(s) return (s:gsub('x', f)) end return f('x')
end
