"""`make images|up|down|logs|trigger`: the containers of docker-compose.yaml. Standard library only."""
