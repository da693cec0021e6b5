-- inline: deadline; process: deadline
return function(self)
  local function f() return f() end return f()
end
