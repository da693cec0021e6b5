-- inline: error deadline; process: error
return function(self)
  coroutine.yield(1)
end
