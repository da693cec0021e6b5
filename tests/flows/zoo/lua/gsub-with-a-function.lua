-- inline: deadline; process: deadline
return function(self)
  return (('x'):gsub('x', function() while true do end end))
end
