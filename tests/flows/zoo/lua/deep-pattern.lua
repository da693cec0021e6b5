-- inline: error deadline; process: error
return function(self)
  return (('x'):rep(1000)):find(('x?'):rep(1000) .. ('x'):rep(1000))
end
