-- inline: deadline; process: deadline
return function(self)
  local ok, e = pcall(function() while true do end end) return {ok, tostring(e)}
end
