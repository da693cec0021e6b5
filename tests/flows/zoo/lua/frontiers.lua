-- inline: deadline value; process: deadline value
return function(self)
  return (('a '):rep(1000000)):gsub('%f[%w]%w+%f[%W]', '%0%0')
end
