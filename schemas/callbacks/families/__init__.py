"""The older generations, each a form: every module here is one."""
