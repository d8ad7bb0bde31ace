"""Who does the work of a batch: processes of this machine, Ray's, an array of Slurm jobs, ComfyUI servers."""
