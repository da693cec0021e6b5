-- inline: deadline; process: deadline
return function(self)
  local caught = 0 xpcall(function() while true do end end, function() caught = 1 end) return caught
end
