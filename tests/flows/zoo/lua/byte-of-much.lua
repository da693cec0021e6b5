-- inline: error deadline; process: error
return function(self)
  return (('x'):rep(1000000)):byte(1, -1)
end
