# Aliases for tasks.py, which does the work and also runs where there is no make:
#   make test ARGS="-k lab"  =  python tasks.py test -k lab
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
TASKS := demo test quick lint format docs bench soak soak-window fuzz screenshots train-smoke audit wheel clean

.PHONY: help $(TASKS)
help:
	@$(PYTHON) tasks.py --help
$(TASKS):
	@$(PYTHON) tasks.py $@ $(ARGS)
