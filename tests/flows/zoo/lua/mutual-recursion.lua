-- inline: deadline; process: deadline
return function(self)
  local a, b function a() return b() end function b() return a() end a()
end
