-- inline: deadline; process: deadline
return function(self)
  local function f() while true do end end while true do pcall(pcall, pcall, f) end
end
