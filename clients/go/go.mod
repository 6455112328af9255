module ipseity

go 1.21
