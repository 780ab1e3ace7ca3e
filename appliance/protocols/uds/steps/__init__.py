"""Does the steps that an access gives as data: what is asked, and what its answers mean."""
