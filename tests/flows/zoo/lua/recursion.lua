-- inline: error deadline; process: error deadline
return function(self)
  local function f() return 1 + f() end return f()
end
